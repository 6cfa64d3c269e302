package expr

import (
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
)

// base is the language without variables. It costs milliseconds to make and
// never changes.
//
//nolint:gochecknoglobals // a constant that has to be computed
var base = sync.OnceValues(func() (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(100),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.OptionalTypes(),
		// These copy their target: a chain of them doubles with each link.
		cel.Macros(cel.ReceiverMacro("optMap", 2, noMacro), cel.ReceiverMacro("optFlatMap", 2, noMacro)),
		ext.Bindings(),
		ext.Strings(),
		ext.Lists(ext.ListsMaxRangeSize(maxList)),
		ext.Sets(),
		ext.Math(),
		ext.Regex(),
		ext.Encoders(),
		ext.TwoVarComprehensions(),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNesting), usage{},
		),
	}
	opts = append(opts, bounded()...)
	opts = append(opts, quantities()...)
	return cel.NewCustomEnv(append([]cel.EnvOption{cel.StdLib()}, opts...)...)
})

func noMacro(f cel.MacroExprFactory, target ast.Expr, _ []ast.Expr) (ast.Expr, *cel.Error) {
	return nil, f.NewError(target.ID(), "optMap and optFlatMap are not available; see orValue and cel.bind")
}

// usage refuses calls that are not bounded: a regular expression from data may
// take more memory to compile than there is, and some functions more time than
// the product of their arguments.
type usage struct{}

func (usage) Name() string { return "labctl.usage" }

func (usage) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	for _, call := range ast.MatchDescendants(ast.NavigateAST(a), ast.KindMatcher(ast.CallKind)) {
		name, args := call.AsCall().FunctionName(), call.AsCall().Args()
		switch name {
		case "indexOf", "lastIndexOf", "regex.replace":
			issues.ReportErrorAtID(call.ID(), "%s is not available; see split, substring, replace and regex.extract", name)
		case "matches", "regex.extract", "regex.extractAll":
			if pattern := args[len(args)-1]; pattern.Kind() != ast.LiteralKind {
				issues.ReportErrorAtID(pattern.ID(), "the pattern of %s must be a text that is written out", name)
			}
		}
	}
}

// bounded replaces functions whose result, or the work for it, may be the
// product of two sizes by ones that refuse that.
func bounded() []cel.EnvOption {
	list, str := cel.ListType(cel.TypeParamType("T")), cel.StringType
	two := func(f func(a, b traits.Lister) bool) cel.OverloadOpt {
		return cel.BinaryBinding(func(lhs, rhs ref.Val) ref.Val {
			a, b := lhs.(traits.Lister), rhs.(traits.Lister)
			if length(a)*length(b) > maxPairs {
				return types.WrapErr(ErrExpensive)
			}
			return types.Bool(f(a, b))
		})
	}
	contains := func(a, b traits.Lister) bool {
		return every(b, func(v ref.Val) bool { return a.Contains(v) == types.True })
	}
	intersects := func(a, b traits.Lister) bool {
		return !every(a, func(v ref.Val) bool { return b.Contains(v) != types.True })
	}
	return []cel.EnvOption{
		cel.Function("sets.contains", cel.Overload("list_sets_contains_list", []*cel.Type{list, list}, cel.BoolType, two(contains))),
		cel.Function("sets.intersects", cel.Overload("list_sets_intersects_list", []*cel.Type{list, list}, cel.BoolType, two(intersects))),
		cel.Function("sets.equivalent", cel.Overload("list_sets_equivalent_list", []*cel.Type{list, list}, cel.BoolType,
			two(func(a, b traits.Lister) bool { return contains(a, b) && contains(b, a) }))),
		cel.Function("distinct", cel.MemberOverload("list_distinct", []*cel.Type{list}, list, cel.UnaryBinding(distinct))),
		cel.Function("join",
			cel.MemberOverload("list_join", []*cel.Type{cel.ListType(str)}, str,
				cel.UnaryBinding(func(l ref.Val) ref.Val { return join(l.(traits.Lister), "") })),
			cel.MemberOverload("list_join_string", []*cel.Type{cel.ListType(str), str}, str,
				cel.BinaryBinding(func(l, sep ref.Val) ref.Val { return join(l.(traits.Lister), string(sep.(types.String))) }))),
		cel.Function("replace",
			cel.MemberOverload("string_replace_string_string", []*cel.Type{str, str, str}, str,
				cel.FunctionBinding(func(args ...ref.Val) ref.Val { return replace(args, -1) })),
			cel.MemberOverload("string_replace_string_string_int", []*cel.Type{str, str, str, cel.IntType}, str,
				cel.FunctionBinding(func(args ...ref.Val) ref.Val { return replace(args, int(args[3].(types.Int))) }))),
	}
}

// maxPairs bounds comparisons of everything with everything.
const maxPairs = 1 << 20

func length(v traits.Sizer) int64 { return int64(v.Size().(types.Int)) }

func every(l traits.Lister, f func(ref.Val) bool) bool {
	for it := l.Iterator(); it.HasNext() == types.True; {
		if !f(it.Next()) {
			return false
		}
	}
	return true
}

func distinct(v ref.Val) ref.Val {
	l := v.(traits.Lister)
	if n := length(l); n*n > maxPairs {
		return types.WrapErr(ErrExpensive)
	}
	var kept []ref.Val
	every(l, func(v ref.Val) bool {
		for _, k := range kept {
			if k.Equal(v) == types.True {
				return true
			}
		}
		kept = append(kept, v)
		return true
	})
	return types.DefaultTypeAdapter.NativeToValue(kept)
}

func join(l traits.Lister, sep string) ref.Val {
	var b strings.Builder
	first, fits := true, true
	var wrong ref.Val
	every(l, func(v ref.Val) bool {
		s, ok := v.(types.String)
		if !ok {
			wrong = types.MaybeNoSuchOverloadErr(v)
			return false
		}
		if !first {
			b.WriteString(sep)
		}
		first = false
		b.WriteString(string(s))
		fits = b.Len() <= maxText
		return fits
	})
	switch {
	case wrong != nil:
		return wrong
	case !fits:
		return types.WrapErr(ErrExpensive)
	}
	return types.String(b.String())
}

func replace(args []ref.Val, n int) ref.Val {
	s, old, text := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String))
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	if int64(len(s))+int64(count)*int64(len(text)) > maxText {
		return types.WrapErr(ErrExpensive)
	}
	return types.String(strings.Replace(s, old, text, n))
}
