// Package expr evaluates the CEL expressions of checks: what a check expects,
// the values of its messages and the cases of its failures.
//
// An expression sees its variables and nothing else: no clock, no files, no
// network. Compiling and evaluating are bounded in size, time and memory, so
// that a lab from somewhere else can't stop labctl. The package does not know
// where the variables come from; pkg/check/probe fills them.
package expr

import (
	"context"
	"fmt"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// Type is what an expression must yield.
type Type int

// Types of expressions.
const (
	Bool Type = iota
	Any
)

// Scope says which variables an expression may use. Those of Kind are at top
// level, and `lab` {namespace, seed} always is.
type Scope struct {
	// Kind is the kind of the check's own probe, one of lab.ProbeKinds.
	Kind string
	// With are further probes: name -> kind.
	With map[string]string
	// Values are the names of the check's values, for the `when` of its fail
	// cases; nil leaves the variable `values` out.
	Values []string
	// Wait is the scope of a step's wait: its own probe alone.
	Wait bool
}

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	src     string
	want    Type
	program cel.Program
}

const (
	// maxSource is the length of an expression in characters.
	maxSource = 4096
	// maxNesting is how deep comprehensions may be nested; a chain of them
	// counts as one in the other.
	maxNesting = 6
	// maxTime is for a slow machine: what takes longer is not a check.
	maxTime = 2 * time.Second
)

// Compile checks an expression against its scope. The error is a *SyntaxError.
func Compile(src string, s Scope, want Type) (*Program, error) {
	if n := len([]rune(src)); n > maxSource {
		return nil, at(1, 1, "the expression has %d characters; at most %d are allowed", n, maxSource)
	}
	env, err := environment(s)
	if err != nil {
		return nil, at(1, 1, "%v", err)
	}
	ast, issues := env.Compile(src)
	if issues.Err() != nil {
		return nil, explain(issues, s)
	}
	if out := ast.OutputType(); want == Bool && !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, at(1, 1, "must be true or false, is of type %s", out)
	}
	program, err := env.Program(ast,
		cel.InterruptCheckFrequency(1),
		cel.CustomDecoratorV2(meter),
		cel.OptimizeRegex(interpreter.MatchesRegexOptimization),
	)
	if err != nil {
		return nil, at(1, 1, "%v", err)
	}
	return &Program{src: src, want: want, program: program}, nil
}

// Source gives the text of the expression.
func (p *Program) Source() string { return p.src }

// Bool evaluates an expression of type bool.
func (p *Program) Bool(ctx context.Context, vars map[string]any) (bool, error) {
	v, err := p.eval(ctx, vars)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("is %s, must be true or false", v.Type().TypeName())
	}
	return bool(b), nil
}

// Value evaluates an expression to a plain value that JSON can hold: nil, bool,
// int64, uint64, float64, string, []any or map[string]any.
func (p *Program) Value(ctx context.Context, vars map[string]any) (any, error) {
	v, err := p.eval(ctx, vars)
	if err != nil {
		return nil, err
	}
	return plain(v)
}
