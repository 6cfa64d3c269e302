package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/check/expr"
	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/lab"
)

// Judge decides a check from recorded evidence: what Result.Evidence has, or a
// part of it that was changed.
func (r *Runner) Judge(c *lab.Check, evidence map[string]map[string]any) Result {
	known := r.byID[c.ID]
	if known == nil {
		return Result{ID: c.ID, Status: StatusError, Message: errUnknownCheck.Error(), Evidence: evidence}
	}
	ctx := context.Background() //nolint:forbidigo // it computes, within the bounds of pkg/check/expr
	return r.judge(ctx, known, &seen{evidence: evidence})
}

// seen is what all probes of a check saw at one time.
type seen struct {
	evidence map[string]map[string]any
	moving   string
	hopeless string
	silent   string // why a component did not answer
	detail   []string
}

// judge decides what was seen: pass, fail, or error where it can't be decided.
func (r *Runner) judge(ctx context.Context, c *compiled, s *seen) Result {
	res := c.blank(StatusFail)
	res.Evidence, res.Where, res.Why = s.evidence, probe.Where(c.Probe), c.Why
	detail := slices.Clone(s.detail)
	blind := unseen(c, s.evidence)
	vars := r.vars(c, s.evidence)
	holds, err := c.expect.Bool(ctx, vars)
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, expr.ErrExpensive):
		return r.failed(c, fmt.Errorf("decide what was seen: %w", err), s.evidence)
	case !errors.Is(err, expr.ErrMissing) && blind == "":
		detail = append(detail, "expect: "+err.Error())
	}
	values := make(map[string]any, len(c.values))
	for name, p := range c.values {
		v, err := p.Value(ctx, vars)
		if err != nil && !errors.Is(err, expr.ErrMissing) && blind == "" {
			detail = append(detail, name+": "+err.Error())
		}
		values[name] = v
	}
	res.Found, res.Expected = text(values["found"]), text(values["expected"])
	if holds && blind == "" {
		res.Status, res.Points, res.Why = StatusPass, c.Points, ""
		return res
	}
	res.Look = c.Look
	silent := cmp.Or(s.silent, blind, mute(c, s.evidence))
	vars["values"] = values
	var message string
	if blind == "" {
		message, res.NearMiss = r.said(ctx, c, vars, silent == "")
		message = render(message, values, res.Where)
	}
	if message == "" {
		message = sentence(oneLine(silent))
	}
	if silent != "" && !strings.Contains(message, silent) {
		detail = append(detail, sentence(silent))
	}
	res.Message, res.Detail = fit(message, detail)
	return res
}

// said gives the author's words for what was seen: those of the first case that
// holds. The last case has no condition, and speaks of values: where none could
// be read it says nothing.
func (r *Runner) said(ctx context.Context, c *compiled, vars map[string]any, values bool) (message, nearMiss string) {
	for i, f := range c.Fail {
		if when := c.cases[i]; when == nil && values {
			return f.Text, f.NearMiss
		} else if when != nil {
			if hit, err := when.Bool(ctx, vars); err == nil && hit {
				return f.Text, f.NearMiss
			}
		}
	}
	if values {
		return "Found {found}, expected {expected} ({where}).", ""
	}
	return "", ""
}

// vars are what the check's expressions see.
func (r *Runner) vars(c *compiled, evidence map[string]map[string]any) map[string]any {
	vars := maps.Clone(evidence[""])
	if vars == nil {
		vars = make(map[string]any)
	}
	for _, name := range c.with {
		fields := evidence[name]
		if fields == nil {
			fields = make(map[string]any)
		}
		vars[name] = fields
	}
	vars["lab"] = r.about()
	return vars
}

// unseen says which component of the lab gave no answer that could be read.
// Without one, that there is no result says nothing: a check that expects none
// must not pass because the registry is down.
func unseen(c *compiled, evidence map[string]map[string]any) string {
	for name, p := range c.probes() {
		component := ""
		switch p.Kind() {
		case lab.ProbeMLflow:
			component = "MLflow"
		case lab.ProbePromQL:
			component = "Prometheus"
		default:
			continue
		}
		vars := evidence[name]
		status := whole(vars["status"])
		switch code, _ := vars["errorCode"].(string); {
		case status == 0 || code == probe.CodeNoAnswer:
			return component + " does not answer"
		case code == probe.CodeUnreadable:
			return fmt.Sprintf("%s gives an answer that can't be read (status %d)", component, status)
		case status >= http.StatusInternalServerError:
			return fmt.Sprintf("%s answers with error %d", component, status)
		}
	}
	return ""
}

// mute says which Service gave no answer at all. That may be what a check
// expects.
func mute(c *compiled, evidence map[string]map[string]any) string {
	for _, name := range append([]string{""}, c.with...) {
		p := c.Probe
		if name != "" {
			p = c.With[name]
		}
		if vars := evidence[name]; p.HTTP != nil && vars != nil && whole(vars["status"]) == 0 {
			return fmt.Sprintf("Service %s:%d does not answer", p.HTTP.Service, p.HTTP.Port)
		}
	}
	return ""
}

// whole reads a number of recorded evidence, which may have been JSON between.
func whole(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case int:
		return int64(n)
	case float64:
		return int64(n)
	default:
		return 0
	}
}

// failed is the result of a check that the grader could not look at.
func (r *Runner) failed(c *compiled, err error, evidence map[string]map[string]any) Result {
	res := c.blank(StatusError)
	res.Where, res.Evidence = probe.Where(c.Probe), evidence
	message := "Could not look: " + oneLine(err.Error())
	res.Message, res.Detail = fit(message, nil)
	res.Look, res.Detail = advice(err, res.Detail)
	return res
}
