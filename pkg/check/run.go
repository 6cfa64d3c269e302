package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/near"
)

// run is one run of a Runner.
type run struct {
	runner  *Runner
	request Request
	share   *sharer
	// chosen are the checks to run; true for those that were asked for.
	chosen map[string]bool

	mu      sync.Mutex
	results map[string]Result
}

// Run runs the checks that are asked for. Results come in the order of the
// file. The error is that of a request for something the lab does not have, or
// the cause of a context that ended; then the results are those that were
// there.
func (r *Runner) Run(ctx context.Context, req Request) ([]Result, error) {
	chosen, err := r.choose(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x := &run{runner: r, request: req, share: newSharer(r), chosen: chosen, results: make(map[string]Result)}
	err = x.all(ctx)
	var list []Result
	for _, c := range r.checks {
		if res, ok := x.results[c.ID]; ok {
			list = append(list, res)
		}
	}
	return list, err
}

// choose finds the checks of a request, and those that they come after.
func (r *Runner) choose(req Request) (map[string]bool, error) {
	chosen := make(map[string]bool)
	for _, id := range req.Tasks {
		t, ok := r.lab.Task(id)
		if !ok {
			var names []string
			for i := range r.lab.Tasks {
				names = append(names, r.lab.Tasks[i].ID)
			}
			return nil, unknown("task", id, names)
		}
		for i := range t.Checks {
			chosen[t.Checks[i].ID] = true
		}
	}
	for _, id := range req.Checks {
		if r.byID[id] == nil {
			return nil, unknown("check", id, slices.Sorted(maps.Keys(r.byID)))
		}
		chosen[id] = true
	}
	if len(req.Tasks) == 0 && len(req.Checks) == 0 {
		for id := range r.byID {
			chosen[id] = true
		}
	}
	var along func(id string)
	along = func(id string) {
		for _, before := range r.byID[id].After {
			if _, ok := chosen[before]; !ok {
				chosen[before] = false
				along(before)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(chosen)) {
		along(id)
	}
	return chosen, nil
}

func unknown(what, id string, names []string) error {
	return clierr.Usage(fmt.Sprintf("It has: %s.", strings.Join(names, ", ")), "the lab has no %s %q%s", what, id, near.Hint(id, names))
}

// all runs everything: what changes nothing side by side, then active checks
// one at a time, and after each what waited for it.
func (x *run) all(ctx context.Context) error {
	for {
		if err := x.passive(ctx); err != nil {
			return err
		}
		next := x.nextActive()
		if next == nil {
			return nil
		}
		res, err := x.one(ctx, next)
		if err != nil {
			return err
		}
		x.finish(next, res)
	}
}

// passive runs all checks that change nothing and wait for none that does.
func (x *run) passive(ctx context.Context) error {
	var ready []*compiled
	done := make(map[string]chan struct{})
	for _, c := range x.runner.checks {
		if x.open(c) && !c.IsActive() && !x.awaitsActive(c) {
			ready = append(ready, c)
			done[c.ID] = make(chan struct{})
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for _, c := range ready {
		wg.Go(func() {
			defer close(done[c.ID])
			for _, id := range c.After {
				if before, ok := done[id]; ok {
					<-before
				}
			}
			res, err := x.one(ctx, c)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				first = err
				return
			}
			x.finish(c, res)
		})
	}
	wg.Wait()
	return first
}

// open tells whether a check is to run and has not yet.
func (x *run) open(c *compiled) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, wanted := x.chosen[c.ID]
	_, ended := x.results[c.ID]
	return wanted && !ended
}

// awaitsActive tells whether an active check has to run before this one.
func (x *run) awaitsActive(c *compiled) bool {
	return slices.ContainsFunc(c.After, func(id string) bool {
		before := x.runner.byID[id]
		return x.open(before) && (before.IsActive() || x.awaitsActive(before))
	})
}

// nextActive gives the first active check, in the order of the file, that waits
// for nothing any more.
func (x *run) nextActive() *compiled {
	for _, c := range x.runner.checks {
		if x.open(c) && c.IsActive() && !slices.ContainsFunc(c.After, func(id string) bool { return x.open(x.runner.byID[id]) }) {
			return c
		}
	}
	return nil
}

// one runs one check, whose predecessors have ended.
func (x *run) one(ctx context.Context, c *compiled) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	if kept, ok := x.request.Latched[c.ID]; ok && c.Latch && kept.Passed() {
		res := c.blank(StatusPass)
		res.Points, res.Latched = c.Points, true
		res.Found, res.Expected, res.Where = kept.Found, kept.Expected, kept.Where
		res.Attempts, res.Seconds, res.ObservedAt, res.Evidence = kept.Attempts, kept.Seconds, kept.ObservedAt, kept.Evidence
		return res, nil
	}
	if missing := x.missing(c); len(missing) > 0 {
		res := c.blank(StatusBlocked)
		res.Message = fmt.Sprintf("Blocked until %s.", passes(missing))
		return res, nil
	}
	if c.IsActive() {
		return x.active(ctx, c)
	}
	return x.poll(ctx, c)
}

func passes(ids []string) string {
	if len(ids) == 1 {
		return ids[0] + " passes"
	}
	return strings.Join(ids[:len(ids)-1], ", ") + " and " + ids[len(ids)-1] + " pass"
}

// missing are the checks that had to pass before and have not.
func (x *run) missing(c *compiled) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var ids []string
	for _, id := range c.After {
		if !x.results[id].Passed() {
			ids = append(ids, id)
		}
	}
	return ids
}

func (x *run) active(ctx context.Context, c *compiled) (Result, error) {
	wanted := x.request.Active
	if x.request.Only != nil {
		wanted = x.request.Only[c.ID]
	}
	if !wanted {
		res := c.blank(StatusSkipped)
		res.Message = fmt.Sprintf("Not run: it %s.", strings.TrimRight(c.Active, "."))
		return res, nil
	}
	held, release, err := x.runner.exclusive(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		return x.runner.failed(c, err, nil), nil
	}
	defer release()
	res, err := x.poll(held, c)
	if err != nil && ctx.Err() == nil && held.Err() != nil {
		return x.runner.failed(c, err, nil), nil
	}
	return res, err
}

func (x *run) poll(ctx context.Context, c *compiled) (Result, error) {
	p := &poll{runner: x.runner, check: c, share: x.share, noWait: x.request.NoWait, waiting: func(res Result) {
		if x.request.OnWaiting != nil {
			x.mu.Lock()
			defer x.mu.Unlock()
			res.Along = !x.chosen[c.ID]
			x.request.OnWaiting(res)
		}
	}}
	return p.run(ctx)
}

func (x *run) finish(c *compiled, res Result) {
	x.mu.Lock()
	defer x.mu.Unlock()
	res.Along = !x.chosen[c.ID]
	x.results[c.ID] = res
	if x.request.OnResult != nil {
		x.request.OnResult(res)
	}
}
