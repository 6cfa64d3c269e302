package smoke

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/drill"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/ui"
)

// Engine is what a proof needs of labctl's engine.
type Engine interface {
	Up(ctx context.Context, o engine.UpOptions, sink ui.Sink) (*engine.UpResult, error)
	Down(ctx context.Context, o engine.DownOptions, sink ui.Sink) (*engine.DownResult, error)
	Join(ctx context.Context, name string, t engine.Target) (*engine.Session, error)
	Reset(ctx context.Context, o engine.ResetOptions, sink ui.Sink) (*engine.ResetResult, error)
}

// Exclusive gives the right to run active checks on a session's cluster, one
// holder at a time.
type Exclusive func(s *engine.Session) func(ctx context.Context) (release func(), err error)

// Options say what to prove.
type Options struct {
	Labs   []string
	Target engine.Target
	Kinds  []Kind
	// Keep leaves labs up that the proof brought up.
	Keep bool
	// Parallel is how many labs are proven side by side.
	Parallel int
	// MayReset is asked before the work of a learner in a lab that is up is
	// thrown away.
	MayReset func(s *engine.Session) error
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
func Run(ctx context.Context, e Engine, exclusive Exclusive, o Options, sink ui.Sink) (*Report, error) {
	begin := time.Now()
	rep := &Report{OK: true, Labs: make([]*Proof, len(o.Labs))}
	var mu sync.Mutex
	var failed []error
	var left atomic.Int64 // labs that are not proven yet
	left.Store(int64(len(o.Labs)))
	var g errgroup.Group
	g.SetLimit(max(o.Parallel, 1))
	for i, name := range o.Labs {
		g.Go(func() error {
			p, err := one(ctx, e, exclusive, name, o, &left, sink)
			mu.Lock()
			defer mu.Unlock()
			rep.Labs[i] = p
			if err != nil {
				p.OK, p.Error = false, err.Error()
				failed = append(failed, err)
			}
			rep.OK = rep.OK && p.OK
			return nil
		})
	}
	_ = g.Wait() // the functions keep their errors themselves
	rep.Seconds = time.Since(begin).Seconds()
	if cause := context.Cause(ctx); cause != nil {
		return rep, clierr.Wrap(cause, "prove "+fmt.Sprint(o.Labs), "the labs may be in the middle of a state: labctl reset <lab>, or labctl down <lab>")
	}
	return rep, errors.Join(failed...)
}

// one proves one lab.
func one(ctx context.Context, e Engine, exclusive Exclusive, name string, o Options, left *atomic.Int64, sink ui.Sink) (*Proof, error) {
	p := &Proof{Lab: name, States: []State{}}
	defer left.Add(-1)
	res, err := e.Up(ctx, engine.UpOptions{Lab: name, Target: o.Target}, sink)
	if err != nil {
		return p, err
	}
	s, err := e.Join(ctx, name, o.Target)
	if err != nil {
		return p, err
	}
	if len(s.Lab.Tasks) == 0 {
		return p, clierr.New("labctl lint "+name, "%s has no tasks, so there is nothing to prove", name)
	}
	if !res.Changed {
		if err := o.MayReset(s); err != nil {
			return p, err
		}
	}
	b, err := newBench(e, exclusive, s, o.Target)
	if err != nil {
		return p, err
	}
	b.fresh = res.Changed
	p, err = Prove(ctx, s.Lab, b, b.mutant, o.Kinds, sink)
	if err != nil || o.Keep && res.Changed {
		return p, err
	}
	if res.Changed {
		_, err = e.Down(ctx, engine.DownOptions{Lab: name, Target: o.Target, KeepCluster: left.Load() > 1}, sink)
		return p, err
	}
	return p, b.Reset(ctx)
}

// bench is a lab that is up on a cluster.
type bench struct {
	engine  Engine
	session *engine.Session
	target  engine.Target
	checks  *check.Runner
	mutant  *check.Runner
	drills  *drill.Runner
	fresh   bool // nothing was done since the last reset
}

var _ Lab = (*bench)(nil)

func newBench(e Engine, exclusive Exclusive, s *engine.Session, t engine.Target) (*bench, error) {
	b := &bench{engine: e, session: s, target: t}
	prober := probe.New(probe.Config{Client: s.Client, Namespace: s.Namespace, Files: s.Files})
	var err error
	if b.checks, err = check.New(s.Lab, s.Namespace, prober, check.WithExclusive(exclusive(s))); err != nil {
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
	return b.drills.Run(ctx, steps, func(i, n int, text string) { tell(fmt.Sprintf("step %d of %d: %s", i+1, n, text)) })
}

// Check runs checks in the lab.
func (b *bench) Check(ctx context.Context, r check.Request) ([]check.Result, error) {
	return b.checks.Run(ctx, r)
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
