package expr

import (
	"fmt"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

const (
	// maxCost bounds an evaluation. A step costs 1, and a value what it weighs.
	maxCost = 5_000_000
	// maxWeight bounds any value: 1 for each node of it, and 1 for 8 bytes of
	// text. What probes bring is below it; so the steps of an expression are
	// never longer than a walk over it.
	maxWeight = 2_000_000
	// maxList and maxText bound what functions make out of nothing.
	maxList = 100_000
	maxText = 8 << 20
)

// costs says what calls cost by their name. The library's own costs need the
// types of the arguments at compile time, and those of JSON are not known then:
// there, doubling a text would always cost 1.
type costs struct{}

var _ interpreter.ActualCostEstimator = costs{}

func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	sum := uint64(1)
	for i, a := range args {
		if _, grows := a.(traits.MutableLister); grows && i == 0 && function == operators.Add {
			continue // a comprehension that adds to its own list
		}
		if _, grows := a.(traits.MutableMapper); grows && i == 0 {
			continue
		}
		sum += uint64(weight(a, maxWeight+1))
	}
	switch result.(type) {
	case traits.MutableLister, traits.MutableMapper:
	default:
		sum += uint64(weight(result, maxWeight+1))
	}
	return &sum
}

// watchSize refuses lists and maps that are too heavy as they are made: with
// shared parts, a few steps could make one that no walk ever ends.
func watchSize(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if c, ok := i.(interpreter.InterpretableConstructor); ok {
		return sized{c}, nil
	}
	return i, nil
}

type sized struct {
	interpreter.InterpretableConstructor
}

func (s sized) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return light(s.InterpretableConstructor.Exec(frame))
}

func (s sized) Eval(vars interpreter.Activation) ref.Val {
	return light(s.InterpretableConstructor.Eval(vars))
}

func light(v ref.Val) ref.Val {
	if weight(v, maxWeight+1) > maxWeight {
		return types.WrapErr(ErrExpensive)
	}
	return v
}

// weight walks over a value until it has reached a limit.
func weight(v ref.Val, limit int) int {
	switch v := v.(type) {
	case types.String:
		return 1 + len(v)/8
	case types.Bytes:
		return 1 + len(v)/8
	case *types.Optional:
		if v.HasValue() {
			return 1 + weight(v.GetValue(), limit-1)
		}
		return 1
	case traits.Lister:
		sum := 1
		for it := v.Iterator(); sum < limit && it.HasNext() == types.True; {
			sum += weight(it.Next(), limit-sum)
		}
		return sum
	case traits.Mapper:
		sum := 1
		for it := v.Iterator(); sum < limit && it.HasNext() == types.True; {
			key := it.Next()
			sum += weight(key, limit-sum)
			if value, ok := v.Find(key); ok {
				sum += weight(value, limit-sum)
			}
		}
		return sum
	default:
		return 1
	}
}

// accept looks whether variables are plain data of a bounded size.
func accept(vars map[string]any) error {
	left := maxWeight
	if err := acceptValue(vars, &left, 0); err != nil {
		return err
	}
	return nil
}

// maxDepth is below what JSON's decoder takes, and far below the stack's end.
const maxDepth = 1000

func acceptValue(v any, left *int, depth int) error {
	*left--
	if *left < 0 || depth > maxDepth {
		return fmt.Errorf("%w: there is too much data", ErrExpensive)
	}
	switch v := v.(type) {
	case nil, bool, int, int32, int64, uint64, float64:
		return nil
	case string:
		*left -= len(v) / 8
		return nil
	case []string:
		for _, s := range v {
			*left -= 1 + len(s)/8
		}
		return nil
	case map[string]string:
		for key, s := range v {
			*left -= 2 + (len(key)+len(s))/8
		}
		return nil
	case []any:
		for _, item := range v {
			if err := acceptValue(item, left, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for key, item := range v {
			*left -= 1 + len(key)/8
			if err := acceptValue(item, left, depth+1); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("a variable holds a %T, which JSON does not have", v)
	}
}
