package smoke

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/drill"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

// Engine is what a proof needs of labctl's engine.
type Engine interface {
	Up(ctx context.Context, o engine.UpOptions, sink ui.Sink) (*engine.UpResult, error)
	Down(ctx context.Context, o engine.DownOptions, sink ui.Sink) (*engine.DownResult, error)
	Join(ctx context.Context, name string, t engine.Target) (*engine.Session, error)
	Reset(ctx context.Context, o engine.ResetOptions, sink ui.Sink) (*engine.ResetResult, error)
}

// Labs are the labs that there are; *catalog.Catalog is one.
type Labs interface {
	Get(name string) (catalog.Entry, error)
}

// Deps are what a Prover works with.
type Deps struct {
	Engine Engine
	Labs   Labs
	// State has the histories of learners.
	State *state.Dir
}

// Prover proves labs.
type Prover struct{ Deps }

// New makes a Prover.
func New(d Deps) *Prover { return &Prover{d} }

// Options say what to prove.
type Options struct {
	Labs   []string
	Target engine.Target
	States Selection
	// Keep leaves labs up that the proof brought up.
	Keep bool
	// Parallel is how many labs are proven side by side.
	Parallel int
	// Discard throws the work of a learner in a lab that is up away; without it
	// such a lab is not proven.
	Discard bool
}

// Report is what the proofs came to.
type Report struct {
	OK      bool     `json:"ok"`
	Seconds float64  `json:"seconds"`
	Labs    []*Proof `json:"labs"`
}

// Run brings each lab up where it isn't, proves it, and leaves it as it was
// found: down, or up and fresh. A lab whose proof could not be ended does not
// end those of the others.
func (p *Prover) Run(ctx context.Context, o Options, sink ui.Sink) (*Report, error) {
	if err := p.known(o); err != nil {
		return nil, err
	}
	begin := time.Now()
	rep := &Report{OK: true, Labs: make([]*Proof, len(o.Labs))}
	failed := make([]error, len(o.Labs))
	var left atomic.Int64 // labs that are not proven yet
	left.Store(int64(len(o.Labs)))
	places := newRoom()
	var g errgroup.Group
	g.SetLimit(max(o.Parallel, 1))
	for i, name := range o.Labs {
		g.Go(func() error {
			rep.Labs[i], failed[i] = p.one(ctx, name, o, &left, places, sink)
			if failed[i] != nil {
				rep.Labs[i].OK, rep.Labs[i].Error = false, failed[i].Error()
			}
			return nil
		})
	}
	_ = g.Wait() // the functions keep their errors themselves
	rep.Seconds = time.Since(begin).Seconds()
	rep.OK = !slices.ContainsFunc(rep.Labs, func(l *Proof) bool { return !l.OK })
	if cause := context.Cause(ctx); cause != nil {
		return rep, clierr.Wrap(cause, "prove "+strings.Join(o.Labs, ", "), "a lab may be in the middle of a state: labctl reset <lab>, or labctl down <lab>")
	}
	return rep, errors.Join(failed...)
}

// known makes sure that the states which are picked by name exist, before any
// lab is brought up for them.
func (p *Prover) known(o Options) error {
	if len(o.States.Names) == 0 {
		return nil
	}
	for _, name := range o.Labs {
		e, err := p.Labs.Get(name)
		if err != nil {
			return err
		}
		if state, known := o.States.missing(e.Lab); state != "" {
			return clierr.Usage("its states: "+strings.Join(known, ", "), "%s has no state %q%s", name, state, near.Hint(state, known))
		}
	}
	return nil
}

// one proves one lab.
func (p *Prover) one(ctx context.Context, name string, o Options, left *atomic.Int64, places *room, sink ui.Sink) (*Proof, error) {
	proof := &Proof{Lab: name, States: []State{}}
	defer left.Add(-1)
	var up *engine.UpResult
	err := places.enter(ctx, func() (err error) {
		up, err = p.Engine.Up(ctx, engine.UpOptions{Lab: name, Target: o.Target}, sink)
		return err
	}, func() {
		sink.Emit(ui.Event{Kind: ui.Note, Text: name + " does not fit beside the labs that are being proven; it waits until one of them has ended"})
	})
	if err != nil {
		return proof, err
	}
	defer places.leave()
	s, err := p.Engine.Join(ctx, name, o.Target)
	if err != nil {
		return proof, err
	}
	if len(s.Lab.Tasks) == 0 {
		return proof, clierr.New("labctl lint "+name, "%s has no tasks, so there is nothing to prove", name)
	}
	b, err := newBench(p.Engine, s, o.Target, sink)
	if err != nil {
		return proof, err
	}
	b.fresh = up.Changed
	if !up.Changed && !o.Discard {
		if err := p.unused(ctx, s, b); err != nil {
			return proof, err
		}
	}
	proof, err = Prove(ctx, s.Lab, b, b.mutant, o.States, sink)
	switch {
	case err != nil, up.Changed && o.Keep:
		return proof, err
	case up.Changed:
		_, err = p.Engine.Down(ctx, engine.DownOptions{Lab: name, Target: o.Target, KeepCluster: left.Load() > 1}, sink)
		return proof, err
	default:
		return proof, b.Reset(ctx)
	}
}

// unused makes sure that there is no work in a lab that is up, because a proof
// would throw it away.
func (p *Prover) unused(ctx context.Context, s *engine.Session, b *bench) error {
	store, err := progress.Open(p.State, s.Name, s.Installation, time.Now)
	if err != nil {
		return err
	}
	r := store.Record()
	used := len(r.Hints)+len(r.Solved)+len(r.Faults) > 0
	for _, c := range r.Checks {
		used = used || !c.FirstPassed.IsZero()
	}
	if !used {
		// Work shows in the lab, too, before anybody has checked it.
		results, err := b.Check(ctx, check.Request{NoWait: true})
		if err != nil {
			return err
		}
		used = slices.ContainsFunc(results, check.Result.Passed)
	}
	if used {
		return clierr.New(fmt.Sprintf("labctl smoke %s --yes, if that work can go", s.Name), "%s is up and somebody worked in it; a proof puts it back to its beginning", s.Name)
	}
	return nil
}

// bench is a lab that is up on a cluster.
type bench struct {
	engine  Engine
	session *engine.Session
	target  engine.Target
	checks  *check.Runner
	mutant  *check.Runner
	drills  *drill.Runner
	prober  check.Prober
	fresh   bool // nothing was done since the last reset
}

var _ Lab = (*bench)(nil)

func newBench(e Engine, s *engine.Session, t engine.Target, sink ui.Sink) (*bench, error) {
	prober := probe.New(probe.Config{Client: s.Client, Namespace: s.Namespace, Files: s.Files})
	b := &bench{engine: e, session: s, target: t, prober: prober}
	var err error
	if b.checks, err = check.New(s.Lab, s.Namespace, prober, check.WithExclusive(func(ctx context.Context) (context.Context, func(), error) { return s.HoldActive(ctx, sink) })); err != nil {
		return nil, err
	}
	if b.mutant, err = check.New(s.Lab, s.Namespace, prober, check.WithExpect(allTrue(s.Lab))); err != nil {
		return nil, err
	}
	b.drills = drill.New(drill.Config{Client: s.Client, Namespace: s.Namespace, Files: s.Files, Prober: prober, Lab: s.Lab})
	return b, nil
}

// allTrue expects of every check what is always so.
func allTrue(l *lab.Lab) map[string]string {
	expect := map[string]string{}
	for _, t := range l.Tasks {
		for _, c := range t.Checks {
			expect[c.ID] = "true"
		}
	}
	return expect
}

// Steps runs steps in the lab.
func (b *bench) Steps(ctx context.Context, steps []lab.Step, tell func(string)) error {
	if len(steps) > 0 {
		b.fresh = false
	}
	return b.drills.Run(ctx, steps, func(i, n int, text string) { tell(fmt.Sprintf("step %d of %d: %s", i, n, text)) })
}

// Check runs checks in the lab.
func (b *bench) Check(ctx context.Context, r check.Request) ([]check.Result, error) {
	return b.checks.Run(ctx, r)
}

// Opens asks an endpoint of the lab for its page. One that asks who comes is
// there, too.
func (b *bench) Opens(ctx context.Context, e lab.Endpoint) (problem string, err error) {
	seen, err := b.prober.Probe(ctx, lab.Probe{HTTP: &lab.HTTPProbe{Service: e.Service, Port: e.Port, Path: e.Path}})
	if err != nil {
		return "", fmt.Errorf("open endpoint %s: %w", e.Name, err)
	}
	return opens(seen), nil
}

// opens says what is wrong with the answer of an endpoint, or nothing.
func opens(seen probe.Observation) string {
	status, _ := seen.Vars["status"].(int64)
	switch {
	case seen.Silent != "":
		return "does not answer: " + seen.Silent
	case status < http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ""
	default:
		return fmt.Sprintf("answers HTTP %d", status)
	}
}

// Reset puts the lab back to its beginning. A lab that was just put back is
// left as it is.
func (b *bench) Reset(ctx context.Context) error {
	if b.fresh {
		return nil
	}
	_, err := b.engine.Reset(ctx, engine.ResetOptions{Lab: b.session.Name, Target: b.target}, ui.Discard())
	b.fresh = err == nil
	return err
}
