package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/lab"
)

// troubleFor is how long trouble on the way to the lab may last before it is
// believed: an API server that starts again takes its time.
const troubleFor = 20 * time.Second

// poll is one check in one run.
type poll struct {
	runner *Runner
	check  *compiled
	share  *sharer
	noWait bool
	// waiting hears of a check that is tried again.
	waiting func(Result)

	own      *probe.Observation // of an active check, which perturbs once
	begun    time.Time
	deadline time.Time
	attempts int
	troubled time.Time // since when the way to the lab is no good
	held     time.Time // since when everything passed
	last     *Result   // what the last look came to, if it failed
	moves    string    // what moved then
}

// run tries a check until it is decided. Only the end of ctx is an error.
func (p *poll) run(ctx context.Context) (res Result, err error) {
	p.begun = time.Now()
	defer func() {
		if v := recover(); v != nil {
			res = p.runner.failed(p.check, &clierr.Error{
				Err: fmt.Errorf("labctl stumbled over this check: %v", v), Detail: string(debug.Stack()),
				Hint: "This is a mistake in labctl; please report it with this output (--verbose shows all of it).",
			}, nil)
		}
		res.Attempts, res.Seconds = p.attempts, time.Since(p.begun).Round(time.Millisecond).Seconds()
		if res.ObservedAt.IsZero() {
			res.ObservedAt = time.Now()
		}
	}()
	for {
		res, again := p.attempt(ctx)
		if ctx.Err() != nil {
			return res, context.Cause(ctx)
		}
		if !again {
			return res, nil
		}
		p.report(res)
		if err := p.pause(ctx); err != nil {
			return res, err
		}
	}
}

// attempt looks once and says whether to look again.
func (p *poll) attempt(ctx context.Context) (res Result, again bool) {
	p.attempts++
	asked := ctx
	if !p.deadline.IsZero() {
		// The first look may wait for its turn; later ones end in time.
		end := p.deadline
		if !p.held.IsZero() {
			end = end.Add(p.stable())
		}
		var cancel context.CancelFunc
		asked, cancel = context.WithDeadlineCause(ctx, end, errTooLong)
		defer cancel()
	}
	s, err := p.look(ctx, asked)
	if ctx.Err() != nil {
		return Result{}, false
	}
	if err != nil {
		return p.trouble(err)
	}
	p.troubled = time.Time{}
	res = p.runner.judge(ctx, p.check, s)
	res.ObservedAt = time.Now()
	switch res.Status {
	case StatusPass:
		return p.passed(res)
	case StatusError:
		return res, false
	default:
		return p.failed(ctx, res, s)
	}
}

func (p *poll) stable() time.Duration { return p.check.StableFor }

// passed waits until a pass has lasted.
func (p *poll) passed(res Result) (Result, bool) {
	p.last = nil
	if p.stable() <= 0 {
		return res, false
	}
	if p.held.IsZero() {
		p.held = res.ObservedAt
	}
	left := p.stable() - res.ObservedAt.Sub(p.held)
	if left <= 0 {
		return res, false
	}
	wait := res
	wait.Status, wait.Points = StatusWaiting, 0
	wait.Message = fmt.Sprintf("Holds now; it must go on to hold for %s.", round(left))
	return wait, !p.noWait
}

// failed decides whether waiting may help.
func (p *poll) failed(ctx context.Context, res Result, s *seen) (Result, bool) {
	if !p.held.IsZero() {
		res.add(fmt.Sprintf("it held for %s of %s, then no more", round(res.ObservedAt.Sub(p.held)), round(p.stable())))
		p.held = time.Time{}
	}
	moving := s.moving
	if moving == "" && p.check.pending != nil {
		if yes, err := p.check.pending.Bool(ctx, p.runner.vars(p.check, s.evidence)); err == nil && yes {
			moving = "the lab has not caught up yet"
		}
	}
	last := res // what follows changes res
	p.last = &last
	switch {
	case s.hopeless != "":
		res.add("waiting does not help: " + s.hopeless)
		return res, false
	case moving == "":
		return res, false
	case p.check.IsActive() && len(p.check.with) == 0:
		return res, false // it looks once
	}
	p.moves = moving
	left := time.Until(p.deadline)
	if !p.noWait && left <= 0 {
		return p.late(), false
	}
	res.Status = StatusWaiting
	remark := "not settled yet: " + moving
	if !p.noWait {
		remark += fmt.Sprintf(" (%s left)", round(left))
	}
	res.add(remark)
	return res, !p.noWait
}

// late is the result of a check whose time is over: what was seen last counts.
func (p *poll) late() Result {
	res := *p.last
	res.add(fmt.Sprintf("still not settled after %s: %s", round(time.Since(p.begun)), p.moves))
	return res
}

// trouble decides what an error means: the way to the lab may come back, or
// the time is over.
func (p *poll) trouble(err error) (Result, bool) {
	var known *probe.TroubleError
	isKnown := errors.As(err, &known)
	tooLong := !isKnown && errors.Is(err, errTooLong)
	if tooLong && p.last != nil && time.Until(p.deadline) <= 0 {
		return p.late(), false
	}
	res := p.runner.failed(p.check, err, nil)
	if p.deadline.IsZero() {
		p.deadline = time.Now().Add(p.check.within())
	}
	p.held = time.Time{}
	if p.troubled.IsZero() {
		p.troubled = time.Now()
	}
	inTime := time.Until(p.deadline) > 0 && !p.noWait
	switch {
	case isKnown && known.Moving != "":
		if p.noWait {
			res.Status = StatusWaiting
		}
		return res, inTime
	case p.check.IsActive() && p.own == nil:
		return res, false // nobody knows how far it came; twice is worse than once
	case tooLong, isKnown && known.Passing:
		return res, inTime && time.Since(p.troubled) < troubleFor
	default:
		return res, false
	}
}

// report tells that the check is tried again.
func (p *poll) report(res Result) {
	res.Status = StatusWaiting
	res.Attempts, res.Seconds = p.attempts, time.Since(p.begun).Round(time.Millisecond).Seconds()
	p.waiting(res)
}

// pause waits until the next look; never all checks at the same moment.
func (p *poll) pause(ctx context.Context) error {
	d := cmp.Or(p.check.Interval, lab.DefaultInterval)
	d += time.Duration(rand.Int64N(int64(d)/5+1)) - d/10 //nolint:gosec // jitter
	if p.held.IsZero() {
		// The last look is at the deadline, not after it.
		d = max(min(d, time.Until(p.deadline)), 10*time.Millisecond)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// look asks all probes of the check. Run is the context of the whole run.
func (p *poll) look(run, ctx context.Context) (*seen, error) {
	c := p.check
	observed := make(map[string]probe.Observation, 1+len(c.with))
	if c.IsActive() {
		// The further probes see what the check did.
		if p.own == nil {
			o, begun, err := p.share.look(run, ctx, c.Probe, true)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", probe.Where(c.Probe), err)
			}
			p.own = &o
			p.start(begun)
		}
		observed[""] = *p.own
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for name, spec := range c.probes() {
		if name == "" && c.IsActive() {
			continue
		}
		wg.Go(func() {
			o, begun, err := p.share.look(run, ctx, spec, false)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if first == nil || name == "" {
					first = fmt.Errorf("%s: %w", probe.Where(spec), err)
				}
				return
			}
			observed[name] = o
			p.start(begun)
		})
	}
	wg.Wait()
	if first != nil {
		return nil, first
	}
	return collect(c, observed), nil
}

// start sets the deadline, once: from when the first look began, not from when
// the check was asked for.
func (p *poll) start(begun time.Time) {
	if p.deadline.IsZero() {
		p.deadline = begun.Add(p.check.within())
	}
}

// collect puts together what all probes saw. The check's own comes first.
func collect(c *compiled, observed map[string]probe.Observation) *seen {
	s := &seen{evidence: make(map[string]map[string]any, len(observed))}
	for _, name := range append([]string{""}, c.with...) {
		o := observed[name]
		s.evidence[name] = o.Vars
		s.moving, s.hopeless, s.silent = cmp.Or(s.moving, o.Moving), cmp.Or(s.hopeless, o.Hopeless), cmp.Or(s.silent, o.Silent)
		if o.Detail != "" && !slices.Contains(s.detail, o.Detail) {
			s.detail = append(s.detail, o.Detail)
		}
	}
	return s
}

func round(d time.Duration) string {
	if d < time.Second {
		return "1 s"
	}
	return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
}
