package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/check/expr"
	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/lab"
)

func (r *Runner) readWait(w *lab.Wait) (work, error) {
	program, err := expr.Compile(w.Expect, expr.Scope{Kind: w.Kind(), Wait: true}, expr.Bool)
	if err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	return func(ctx context.Context) (string, error) { return r.wait(ctx, w, program) }, nil
}

// wait looks until what is seen is as expected.
func (r *Runner) wait(ctx context.Context, w *lab.Wait, program *expr.Program) (string, error) {
	deadline := cmp.Or(w.Deadline, lab.DefaultDeadline)
	late := fmt.Errorf("%s is not as expected after %s", probe.Where(w.Probe), deadline)
	ctx, cancel := context.WithTimeoutCause(ctx, deadline, late)
	defer cancel()
	tick := time.NewTicker(r.poll)
	defer tick.Stop()
	var seen probe.Observation
	var trouble error // of the last look
	for {
		o, err := r.prober.Probe(ctx, w.Probe)
		if err == nil {
			seen = o
			ok, evalErr := program.Bool(ctx, r.vars(o))
			if ok {
				return "", nil
			}
			err = evalErr
			if errors.Is(err, expr.ErrMissing) {
				err = nil // what is not there yet is not as expected
			}
			if o.Hopeless != "" {
				return evidence(w, o, nil), fmt.Errorf("%s: %s", o.Where, o.Hopeless)
			}
		}
		if ctx.Err() == nil {
			trouble = err // not the one that the end of the wait makes
		}
		select {
		case <-ctx.Done():
			return evidence(w, seen, trouble), context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// vars are what an expression sees.
func (r *Runner) vars(o probe.Observation) map[string]any {
	vars := maps.Clone(o.Vars)
	if vars == nil {
		vars = make(map[string]any)
	}
	about := map[string]any{"namespace": r.namespace, "seed": 0}
	if r.lab != nil && r.lab.Seed != nil {
		about["seed"] = r.lab.Seed.Value
	}
	vars["lab"] = about
	return vars
}

// evidence says what was seen last.
func evidence(w *lab.Wait, o probe.Observation, trouble error) string {
	lines := []string{"expected: " + strings.Join(strings.Fields(w.Expect), " ")}
	if trouble != nil {
		lines = append(lines, "trouble: "+trouble.Error())
	}
	for _, s := range []string{o.Moving, o.Silent, o.Detail} {
		if s != "" {
			lines = append(lines, s)
		}
	}
	return strings.Join(lines, "\n")
}
