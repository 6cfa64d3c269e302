package practice

import (
	"context"
	"errors"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/ui"
)

// watchEvery is the pause between two rounds. Checks read many kinds of things
// (a registry, metrics, answers of a server) that no watch of Kubernetes tells
// about, so looking again is the only way that misses none.
const watchEvery = 3 * time.Second

// Change is a check that stands otherwise than in the round before.
type Change struct {
	Check CheckResult
	Was   check.Status // empty in the first round
}

// Watch runs the passive checks again and again and tells each round what has
// changed, until ctx ends. It gives the last round; that the user ends it is no
// error.
func (p *Practice) Watch(ctx context.Context, o CheckOptions, sink ui.Sink, tell func(*CheckReport, []Change) error) (*CheckReport, error) {
	s, err := p.join(ctx, o.Lab, o.Target, sink)
	if err != nil {
		return nil, err
	}
	o.Active, o.Confirm = false, nil
	var last *CheckReport
	for {
		rep, err := p.check(ctx, s, o, true, ui.Discard())
		switch {
		case err != nil && ended(ctx) && last != nil:
			return last, nil
		case err != nil:
			return nil, err
		}
		if changes := compare(last, rep); len(changes) > 0 || last == nil {
			if err := tell(rep, changes); err != nil {
				return nil, err
			}
		}
		last = rep
		select {
		case <-ctx.Done():
			if ended(ctx) {
				return last, nil
			}
			return nil, context.Cause(ctx)
		case <-time.After(watchEvery):
		}
	}
}

// ended tells whether the user ended the watch, as it is meant to end.
func ended(ctx context.Context) bool { return errors.Is(context.Cause(ctx), clierr.ErrInterrupted) }

// compare gives the checks whose status or message is another one than before.
func compare(before, now *CheckReport) []Change {
	was := map[string]check.Result{}
	if before != nil {
		for _, t := range before.Tasks {
			for _, c := range t.Checks {
				was[c.ID] = c.Result
			}
		}
	}
	var changes []Change
	for _, t := range now.Tasks {
		for _, c := range t.Checks {
			old, known := was[c.ID]
			if !known || old.Status != c.Status || old.Message != c.Message {
				changes = append(changes, Change{Check: c, Was: old.Status})
			}
		}
	}
	return changes
}
