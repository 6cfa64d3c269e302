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
	// maxInput bounds what probes bring: 1 for each node, and 1 for 8 bytes of
	// text. It leaves room for some bodies of a MiB.
	maxInput = 2_000_000
	// maxWeight bounds any value that an expression makes, so that no step of
	// it is longer than a walk over such a value.
	maxWeight = 500_000
	// maxTotal bounds what an evaluation makes altogether.
	maxTotal = 2_000_000
	// maxList and maxText bound what functions make out of nothing.
	maxList = 100_000
	maxText = 8 << 20
)

// budgetName is the variable that holds the budget of an evaluation. No
// expression can name it.
const budgetName = "@budget"

// budget is what an evaluation may still make.
type budget struct{ left int }

// charge ends the evaluation when there is nothing left. The library's own
// costs won't do: they need the types of arguments at compile time, which are
// not known for JSON, and their bookkeeping takes time in the square of the
// length of a loop.
func charge(vars interpreter.Activation, v ref.Val) ref.Val {
	found, _ := vars.ResolveName(budgetName)
	b, ok := found.(*budget)
	if !ok {
		return v
	}
	w := 1
	switch v.(type) {
	case traits.MutableLister, traits.MutableMapper:
		// A comprehension that adds to its own result; what it adds has been
		// charged.
	default:
		w = weight(v, maxWeight+1)
	}
	b.left -= w
	if b.left < 0 || w > maxWeight {
		panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: ErrExpensive.Error()})
	}
	return v
}

// meter charges what calls and literals make. With shared parts, a few steps
// could otherwise make a value that no walk ever ends.
func meter(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch i := i.(type) {
	case interpreter.InterpretableConstructor:
		return meteredLiteral{i}, nil
	case interpreter.InterpretableCall:
		return meteredCall{i}, nil
	default:
		return i, nil
	}
}

type meteredLiteral struct {
	interpreter.InterpretableConstructor
}

func (m meteredLiteral) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return charge(frame, m.InterpretableConstructor.Exec(frame))
}

func (m meteredLiteral) Eval(vars interpreter.Activation) ref.Val {
	return charge(vars, m.InterpretableConstructor.Eval(vars))
}

type meteredCall struct{ interpreter.InterpretableCall }

func (m meteredCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return m.result(frame, m.InterpretableCall.Exec(frame))
}

func (m meteredCall) Eval(vars interpreter.Activation) ref.Val {
	return m.result(vars, m.InterpretableCall.Eval(vars))
}

func (m meteredCall) result(vars interpreter.Activation, v ref.Val) ref.Val {
	charge(vars, v)
	if l, ok := v.(traits.Lister); ok && m.Function() == operators.Add {
		return flat(l)
	}
	return v
}

// flat copies the sum of two lists: the library only ties them together, and
// each knot costs a step for every element.
func flat(l traits.Lister) ref.Val {
	if _, grows := l.(traits.MutableLister); grows {
		return l
	}
	var list []ref.Val
	for it := l.Iterator(); it.HasNext() == types.True; {
		list = append(list, it.Next())
	}
	return types.NewRefValList(types.DefaultTypeAdapter, list)
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
	left := maxInput
	if err := acceptValue(vars, &left, 0); err != nil {
		return err
	}
	return acceptValue(nil, &left, 0) // it is asked before each value, not after
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
