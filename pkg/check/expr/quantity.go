package expr

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"k8s.io/apimachinery/pkg/api/resource"
)

//nolint:gochecknoglobals // the type is a constant, but not to the compiler
var quantityType = cel.ObjectType(typePrefix+"quantity", traits.ComparerType|traits.AdderType|traits.SubtractorType)

// quantity is an amount as Kubernetes writes it, such as 320Mi or 250m.
type quantity struct{ q *resource.Quantity }

var (
	_ ref.Val           = quantity{}
	_ traits.Comparer   = quantity{}
	_ traits.Adder      = quantity{}
	_ traits.Subtractor = quantity{}
)

// quantities declares quantity(x) and the operators that take its results. The
// operators find their way to the methods below by themselves.
func quantities() []cel.EnvOption {
	q := quantityType
	pair := []*cel.Type{q, q}
	opts := []cel.EnvOption{
		cel.Function("quantity",
			cel.Overload("string_to_quantity", []*cel.Type{cel.StringType}, q, cel.UnaryBinding(toQuantity)),
			cel.Overload("int_to_quantity", []*cel.Type{cel.IntType}, q, cel.UnaryBinding(toQuantity)),
			cel.Overload("double_to_quantity", []*cel.Type{cel.DoubleType}, q, cel.UnaryBinding(toQuantity)),
		),
		cel.Function(operators.Add, cel.Overload("add_quantity", pair, q)),
		cel.Function(operators.Subtract, cel.Overload("subtract_quantity", pair, q)),
		cel.Function("double", cel.Overload("quantity_to_double", []*cel.Type{q}, cel.DoubleType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.Double(v.(quantity).q.AsApproximateFloat64()) }))),
		cel.Function("string", cel.Overload("quantity_to_string", []*cel.Type{q}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.String(v.(quantity).q.String()) }))),
	}
	for name, id := range map[string]string{
		operators.Less: "less", operators.LessEquals: "less_equals", operators.Greater: "greater", operators.GreaterEquals: "greater_equals",
	} {
		opts = append(opts, cel.Function(name, cel.Overload(id+"_quantity", pair, cel.BoolType)))
	}
	return opts
}

// maxQuantity is the length of an amount in characters.
const maxQuantity = 64

func toQuantity(v ref.Val) ref.Val {
	var text string
	switch v := v.(type) {
	case types.String:
		text = string(v)
	case types.Int:
		text = strconv.FormatInt(int64(v), 10)
	case types.Double:
		text = strconv.FormatFloat(float64(v), 'f', -1, 64)
	default:
		return types.MaybeNoSuchOverloadErr(v)
	}
	if len(text) > maxQuantity {
		return types.NewErr("not a quantity: %.20s...", text)
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return types.NewErr("not a quantity: %q", text)
	}
	return quantity{&q}
}

func (v quantity) ConvertToNative(t reflect.Type) (any, error) {
	if t.Kind() == reflect.String {
		return v.q.String(), nil
	}
	return nil, fmt.Errorf("a quantity can't become a %s", t)
}

func (v quantity) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.StringType:
		return types.String(v.q.String())
	case types.TypeType:
		return quantityType
	default:
		return types.NewErr("a quantity can't become a %s", t.TypeName())
	}
}

func (v quantity) Equal(other ref.Val) ref.Val {
	o, ok := other.(quantity)
	return types.Bool(ok && v.q.Cmp(*o.q) == 0)
}

func (v quantity) Compare(other ref.Val) ref.Val {
	o, ok := other.(quantity)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	return types.Int(v.q.Cmp(*o.q))
}

func (v quantity) Add(other ref.Val) ref.Val {
	o, ok := other.(quantity)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	sum := v.q.DeepCopy()
	sum.Add(*o.q)
	return quantity{&sum}
}

func (v quantity) Subtract(other ref.Val) ref.Val {
	o, ok := other.(quantity)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	rest := v.q.DeepCopy()
	rest.Sub(*o.q)
	return quantity{&rest}
}

func (v quantity) Type() ref.Type { return quantityType }

func (v quantity) Value() any { return v.q.String() }
