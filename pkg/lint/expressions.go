package lint

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/check/expr"
	"labctl.dev/labctl/pkg/lab"
)

var (
	// quoted matches CEL's strings, so that words in them are not taken for variables.
	quoted = regexp.MustCompile(`(?s)[rRbB]*("""(.*?)"""|'''(.*?)'''|"(\\.|[^"\\])*"|'(\\.|[^'\\])*')`)
	word   = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
)

// words gives the identifiers of an expression.
func words(src string) []string { return word.FindAllString(quoted.ReplaceAllString(src, `""`), -1) }

// expressions compiles every expression of the lab, and looks for those that
// say nothing.
func (r *run) expressions(ctx context.Context) {
	eachCheck(r.lab, func(field string, _ *lab.Task, c *lab.Check) { r.checkExpressions(ctx, field, c) })
	eachStep(r.lab, func(field string, s lab.Step) {
		if s.Wait == nil {
			return
		}
		at, scope := field+".wait.expect", expr.Scope{Kind: s.Wait.Kind(), Wait: true}
		if r.compile(at, s.Wait.Expect, scope, expr.Bool) != nil {
			r.constant(at, s.Wait.Expect, lab.Variables(s.Wait.Kind()))
		}
	})
}

func (r *run) checkExpressions(ctx context.Context, field string, c *lab.Check) {
	scope := expr.Scope{Kind: c.Kind(), With: map[string]string{}}
	variables := lab.Variables(c.Kind())
	for name, p := range c.With {
		scope.With[name] = p.Kind()
		variables = append(variables, name)
	}
	if expect := r.compile(field+".expect", c.Expect, scope, expr.Bool); expect != nil {
		constant := r.constant(field+".expect", c.Expect, variables)
		if !constant && len(c.After) == 0 {
			r.passesOnNothing(ctx, field+".expect", expect, c)
		}
	}
	used := words(c.Expect)
	for _, name := range slices.Sorted(maps.Keys(c.Values)) {
		r.compile(field+".values."+name, c.Values[name], scope, expr.Any)
		used = append(used, words(c.Values[name])...)
	}
	if c.Pending != "" {
		r.compile(field+".pending", c.Pending, scope, expr.Bool)
		used = append(used, words(c.Pending)...)
	}
	scope.Values = slices.Sorted(maps.Keys(c.Values))
	for i, f := range c.Fail {
		if f.When != "" {
			r.compile(fieldOf(field+".fail", i)+".when", f.When, scope, expr.Bool)
			used = append(used, words(f.When)...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.With)) {
		if !slices.Contains(used, name) {
			r.add("with-unused", Note, field+".with."+name, "no expression of the check uses %s", name)
		}
	}
}

// compile gives nil, and a finding, for an expression that does not compile.
func (r *run) compile(field, src string, scope expr.Scope, want expr.Type) *expr.Program {
	p, err := expr.Compile(src, scope, want)
	if err == nil {
		return p
	}
	line, column := r.places.Find(field)
	message := err.Error()
	var syntax *expr.SyntaxError
	if errors.As(err, &syntax) {
		line, column = r.places.Inside(field, max(syntax.Line, 1), max(syntax.Column, 1))
		message = syntax.Message
	}
	r.addAt("expression", Error, lab.FileName, line, column, field, message)
	return nil
}

// constant reports an expression that looks at nothing.
func (r *run) constant(field, src string, variables []string) bool {
	for _, w := range words(src) {
		if slices.Contains(variables, w) {
			return false
		}
	}
	r.add("expect-constant", Error, field, "looks at nothing; it can use %s", strings.Join(variables, ", "))
	return true
}

// passesOnNothing reports an expectation that holds where nothing is there.
// Such a check is green before anybody has done anything.
func (r *run) passesOnNothing(ctx context.Context, field string, p *expr.Program, c *lab.Check) {
	vars := nothing(c.Probe)
	for name, w := range c.With {
		vars[name] = nothing(w)
	}
	vars["lab"] = map[string]any{"namespace": "lab-" + r.lab.Metadata.Name, "seed": r.seed()}
	if ok, err := p.Bool(ctx, vars); err == nil && ok {
		r.add("passes-when-empty", Error, field,
			"holds where nothing is there, so the check passes on a fresh lab; ask for what must be there, or name in `after` what must pass first")
	}
}

func (r *run) seed() int {
	if r.lab.Seed == nil {
		return 0
	}
	return r.lab.Seed.Value
}

// nothing is what a probe sees when there is nothing to see.
func nothing(p lab.Probe) map[string]any {
	switch p.Kind() {
	case lab.ProbeKube:
		if p.Kube.Name != "" {
			return map[string]any{"object": nil}
		}
		return map[string]any{"objects": []any{}}
	case lab.ProbeHTTP:
		return map[string]any{"status": 0, "headers": map[string]any{}, "body": "", "json": nil}
	case lab.ProbePromQL:
		return map[string]any{"series": []any{}, "n": 0}
	case lab.ProbeMLflow:
		if p.MLflow.Versions != nil || p.MLflow.Runs != nil {
			return map[string]any{"result": []any{}, "status": 200, "errorCode": ""}
		}
		return map[string]any{"result": nil, "status": 404, "errorCode": "RESOURCE_DOES_NOT_EXIST"}
	default:
		return map[string]any{"exitCode": 1, "stdout": "", "json": nil}
	}
}
