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
		// The macros of version 1 and later copy their target: a chain of them
		// doubles with each link.
		cel.OptionalTypes(cel.OptionalTypesVersion(0)),
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
			cel.ValidateComprehensionNestingLimit(maxNesting), literalPatterns{},
		),
		// Offsets make these slow on long texts; split, substring and matches
		// do what checks need.
		cel.Function("indexOf", cel.DisableDeclaration(true)),
		cel.Function("lastIndexOf", cel.DisableDeclaration(true)),
	}
	opts = append(opts, bounded()...)
	opts = append(opts, quantities()...)
	return cel.NewCustomEnv(append([]cel.EnvOption{cel.StdLib()}, opts...)...)
})

// literalPatterns asks for regular expressions that are written out: compiling
// one from data may take more memory than there is.
type literalPatterns struct{}

func (literalPatterns) Name() string { return "labctl.literal_patterns" }

func (literalPatterns) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	for _, call := range ast.MatchDescendants(ast.NavigateAST(a), ast.KindMatcher(ast.CallKind)) {
		c := call.AsCall()
		name := c.FunctionName()
		if name != "matches" && !strings.HasPrefix(name, "regex.") {
			continue
		}
		args := c.Args()
		pattern := len(args) - 1
		if strings.HasPrefix(name, "regex.") {
			pattern = 1
		}
		if pattern < 0 || pattern >= len(args) {
			continue
		}
		if args[pattern].Kind() != ast.LiteralKind {
			issues.ReportErrorAtID(args[pattern].ID(), "the pattern of %s must be a text that is written out", name)
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
		cel.Function("regex.replace", cel.DisableDeclaration(true)),
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
