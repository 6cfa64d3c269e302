package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/check/expr"
	"labctl.dev/labctl/pkg/lab"
)

// Runner runs the checks of one lab. It is safe for concurrent use.
type Runner struct {
	lab       *lab.Lab
	namespace string
	prober    Prober
	checks    []*compiled // in the order of the file
	byID      map[string]*compiled

	exclusive Exclusive
	expect    map[string]string
}

// Option changes how a Runner works.
type Option func(*Runner)

// Exclusive takes the right to change the lab. The context held ends when the
// right is lost; release gives it back.
type Exclusive func(ctx context.Context) (held context.Context, release func(), err error)

// WithExclusive gets the right to change the lab before an active check, and
// gives it back afterwards.
func WithExclusive(f Exclusive) Option {
	return func(r *Runner) { r.exclusive = f }
}

// WithExpect replaces what checks expect, by check: for proofs that a check
// can fail.
func WithExpect(expect map[string]string) Option {
	return func(r *Runner) { r.expect = expect }
}

// compiled is a check with its programs.
type compiled struct {
	*lab.Check

	task      *lab.Task
	essential bool
	expect    *expr.Program
	pending   *expr.Program // or nil
	values    map[string]*expr.Program
	cases     []*expr.Program // nil for one without a condition
	with      []string        // names, sorted
}

// New makes a Runner. It compiles all expressions of the lab's checks; the
// error is a *lab.InvalidError that lists every mistake.
func New(l *lab.Lab, namespace string, p Prober, opts ...Option) (*Runner, error) {
	r := &Runner{
		lab: l, namespace: namespace, prober: p, byID: make(map[string]*compiled),
		exclusive: func(ctx context.Context) (context.Context, func(), error) { return ctx, func() {}, nil },
	}
	for _, o := range opts {
		o(r)
	}
	c := &compiler{expect: r.expect}
	for i := range l.Tasks {
		t := &l.Tasks[i]
		for j := range t.Checks {
			check := c.check(t, j, fmt.Sprintf("tasks[%d].checks[%d]", i, j))
			if r.byID[check.ID] != nil {
				c.add(fmt.Sprintf("tasks[%d].checks[%d].id", i, j), "%q is there twice", check.ID)
			}
			r.checks = append(r.checks, check)
			r.byID[check.ID] = check
		}
	}
	c.after(r)
	if len(c.problems) > 0 {
		return nil, &lab.InvalidError{Problems: c.problems}
	}
	return r, nil
}

// compiler collects problems.
type compiler struct {
	expect   map[string]string
	problems []lab.Problem
}

func (c *compiler) add(field, format string, args ...any) {
	c.problems = append(c.problems, lab.Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) compile(field, src string, s expr.Scope, want expr.Type) *expr.Program {
	p, err := expr.Compile(src, s, want)
	if err != nil {
		c.add(field, "%v", err)
	}
	return p
}

func (c *compiler) check(t *lab.Task, index int, at string) *compiled {
	check := &t.Checks[index]
	out := &compiled{
		Check: check, task: t, essential: t.IsEssential(index),
		values: make(map[string]*expr.Program), with: slices.Sorted(maps.Keys(check.With)),
	}
	scope := expr.Scope{Kind: check.Kind(), With: make(map[string]string)}
	for name, p := range check.With {
		scope.With[name] = p.Kind()
	}
	src := check.Expect
	if other, ok := c.expect[check.ID]; ok {
		src = other
	}
	out.expect = c.compile(at+".expect", src, scope, expr.Bool)
	if check.Pending != "" {
		out.pending = c.compile(at+".pending", check.Pending, scope, expr.Bool)
	}
	names := slices.Sorted(maps.Keys(check.Values))
	for _, name := range names {
		out.values[name] = c.compile(at+".values."+name, check.Values[name], scope, expr.Any)
	}
	scope.Values = append([]string{}, names...)
	for i, f := range check.Fail {
		var when *expr.Program
		if f.When != "" {
			when = c.compile(fmt.Sprintf("%s.fail[%d].when", at, i), f.When, scope, expr.Bool)
		}
		out.cases = append(out.cases, when)
	}
	return out
}

// after looks whether the order that checks ask for exists.
func (c *compiler) after(r *Runner) {
	const (
		open = iota
		entered
		left
	)
	state := make(map[string]int)
	var visit func(check *compiled, path []string)
	visit = func(check *compiled, path []string) {
		path = append(path, check.ID)
		switch state[check.ID] {
		case left:
			return
		case entered:
			c.add("tasks", "checks wait for each other: %s", strings.Join(path, " after "))
			return
		}
		state[check.ID] = entered
		for _, id := range check.After {
			if next := r.byID[id]; next != nil {
				visit(next, path)
			} else {
				c.add("tasks", "%s is to run after %s, which does not exist", check.ID, id)
			}
		}
		state[check.ID] = left
	}
	for _, check := range r.checks {
		visit(check, nil)
	}
}

// probes gives the check's own probe under "" and its further ones.
func (c *compiled) probes() map[string]lab.Probe {
	all := map[string]lab.Probe{"": c.Probe}
	maps.Copy(all, c.With)
	return all
}

// within is how long a failing check is tried again. A command that takes long
// gets its time in any case.
func (c *compiled) within() time.Duration {
	d := c.Deadline
	if d <= 0 {
		d = lab.DefaultDeadline
	}
	for _, p := range c.probes() {
		if p.Exec != nil {
			d = max(d, p.Exec.Timeout)
		}
	}
	return d
}

// blank is what is known of a check before it runs.
func (c *compiled) blank(status Status) Result {
	return Result{
		ID: c.ID, Task: c.task.ID, Status: status, Kind: c.Kind(), Max: c.Points, Essential: c.essential, Active: c.IsActive(),
	}
}

// about are the variables of the lab itself.
func (r *Runner) about() map[string]any {
	about := map[string]any{"namespace": r.namespace, "seed": int64(0)}
	if r.lab.Seed != nil {
		about["seed"] = int64(r.lab.Seed.Value)
	}
	return about
}

var errUnknownCheck = errors.New("the lab has no such check")
