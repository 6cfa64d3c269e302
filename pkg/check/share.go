package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/lab"
)

const (
	// sideBySide is how many probes look at once, execsAtOnce how many of them
	// run commands: those share the memory of one pod.
	sideBySide  = 8
	execsAtOnce = 2
	// probeTime bounds a look. Commands have their own time.
	probeTime = 30 * time.Second
	// slack is what the plumbing of a command gets on top of its time, and how
	// long a look that was told to end is waited for.
	slack = 5 * time.Second
	// sameInstant is how old a look may be that another check asked for.
	sameInstant = 250 * time.Millisecond
)

// errTooLong is a look that has not ended in its time.
var errTooLong = errors.New("it took too long")

// sharer looks for the checks of one run: at the same thing once.
type sharer struct {
	runner *Runner
	slots  chan struct{}
	execs  chan struct{}

	mu    sync.Mutex
	calls map[string]*call
}

type call struct {
	begun time.Time // zero while it waits for its turn
	asked time.Time
	done  chan struct{}
	seen  probe.Observation
	err   error
}

func newSharer(r *Runner) *sharer {
	return &sharer{
		runner: r, calls: make(map[string]*call),
		slots: make(chan struct{}, sideBySide), execs: make(chan struct{}, execsAtOnce),
	}
}

// look probes, or takes what another check has just asked for. Run is the
// context of the whole run, ctx that of the one who asks. The time is when the
// look began.
func (s *sharer) look(run, ctx context.Context, spec lab.Probe, alone bool) (probe.Observation, time.Time, error) {
	key, err := json.Marshal(spec)
	if err != nil {
		return probe.Observation{}, time.Now(), err
	}
	s.mu.Lock()
	c := s.calls[string(key)]
	if alone || c == nil || time.Since(c.asked) > sameInstant {
		c = &call{asked: time.Now(), done: make(chan struct{})}
		if !alone {
			s.calls[string(key)] = c
		}
		go s.run(run, spec, c)
	}
	s.mu.Unlock()
	select {
	case <-c.done:
		return c.seen, c.begun, c.err
	case <-ctx.Done():
		return probe.Observation{}, time.Now(), context.Cause(ctx)
	}
}

// run waits for its turn and probes.
func (s *sharer) run(ctx context.Context, spec lab.Probe, c *call) {
	defer close(c.done)
	turns := []chan struct{}{s.slots}
	if spec.Exec != nil {
		turns = append([]chan struct{}{s.execs}, turns...)
	}
	for _, turn := range turns {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			c.begun, c.err = time.Now(), context.Cause(ctx)
			return
		}
	}
	c.begun = time.Now()
	c.seen, c.err = s.runner.probe(ctx, spec)
}

// probe looks once, in bounded time, whatever the prober does.
func (r *Runner) probe(ctx context.Context, spec lab.Probe) (probe.Observation, error) {
	limit := probeTime
	if spec.Exec != nil {
		e := *spec.Exec
		if e.Timeout <= 0 {
			e.Timeout = lab.DefaultTimeout
		}
		limit, spec.Exec = e.Timeout+slack, &e
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	type outcome struct {
		seen probe.Observation
		err  error
	}
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o.err = &clierr.Error{
					Err: fmt.Errorf("labctl stumbled over what it saw: %v", p), Detail: string(debug.Stack()),
					Hint: "This is a mistake in labctl; please report it with this output (--verbose shows all of it).",
				}
			}
			ended <- o
		}()
		o.seen, o.err = r.prober.Probe(ctx, spec)
	}()
	select {
	case o := <-ended:
		return o.seen, o.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(slack)
	defer grace.Stop()
	select {
	case o := <-ended:
		return o.seen, o.err
	case <-grace.C:
		return probe.Observation{}, context.Cause(ctx)
	}
}
