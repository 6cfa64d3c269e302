package expr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/interpreter"

	"labctl.dev/labctl/pkg/internal/near"
)

// What an evaluation can end with. All other errors are mistakes of types or
// values, such as a text where a number was expected, or the cause of a context
// that ended.
var (
	// ErrMissing is a key that is not there, or a field of null.
	ErrMissing = errors.New("not there")
	// ErrExpensive is an evaluation that would take too much time or memory.
	ErrExpensive = errors.New("the expression is too expensive")
)

// SyntaxError is an expression that can't be compiled. Line and Column count
// from one.
type SyntaxError struct {
	Line, Column int
	Message      string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message) }

func at(line, column int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Line: line, Column: column, Message: fmt.Sprintf(format, args...)}
}

// The library's messages for people who know CEL's insides.
var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	undefined  = regexp.MustCompile(`^undefined field '([^']*)'`)
	overload   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
)

// explain gives the first mistake in words of ours.
func explain(issues *cel.Issues, s Scope) *SyntaxError {
	first := issues.Errors()[0]
	e := at(max(first.Location.Line(), 1), max(first.Location.Column()+1, 1), "%s", first.Message)
	message := strings.TrimSpace(first.Message)
	// The list of all tokens that may come next is no help.
	message, _, _ = strings.Cut(message, " expecting {")
	if m := undeclared.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("unknown name %s%s", m[1], near.Hint(m[1], s.names()))
	} else if m := undefined.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("unknown field %s%s", m[1], near.Hint(m[1], s.fields()))
	} else if m := overload.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("%s does not take (%s)", operator(m[1]), strings.Trim(m[2], "()"))
	}
	message, _, _ = strings.Cut(message, "\n")
	e.Message = strings.ReplaceAll(message, typePrefix, "")
	return e
}

// operator turns `_==_` into `==`.
func operator(name string) string {
	if bare := strings.Trim(name, "_"); strings.ContainsAny(name, "=<>+-*/%!&|?") || strings.HasPrefix(name, "@") {
		return strings.TrimPrefix(bare, "@")
	}
	return name
}

// names are what an expression may begin with.
func (s Scope) names() []string {
	names := slices.Sorted(maps.Keys(s.variables()))
	if env, err := base(); err == nil {
		for name := range env.Functions() {
			if !strings.ContainsAny(name, "_@!-") {
				names = append(names, name)
			}
		}
	}
	return names
}

// fields are the fields of all variables of a known shape.
func (s Scope) fields() []string {
	names := map[string]bool{}
	for _, t := range s.types() {
		for name := range t {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// translate sorts what the library ends an evaluation with.
func translate(ctx context.Context, err error) error {
	var cancelled interpreter.EvalCancelledError
	text := err.Error()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &cancelled), errors.Is(err, ErrExpensive), strings.Contains(text, "operation interrupted"):
		return ErrExpensive
	case strings.HasPrefix(text, "no such key"), strings.HasPrefix(text, "no such attribute"), strings.HasPrefix(text, "index out of bounds"),
		strings.HasPrefix(text, "optional.none() dereference"), strings.HasPrefix(text, "got 'types.Null', expected iterable"):
		return fmt.Errorf("%w: %s", ErrMissing, text)
	default:
		return errors.New(text)
	}
}
