// Package practice holds the flows of a learner at a lab: check the work, take a
// hint, see where things stand, get a receipt. It puts the check runner, the
// history and the lab together and returns data.
//
// It prints nothing, knows no command lines and judges no check itself.
package practice

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

// Engine is what practising asks of the engine.
type Engine interface {
	// Join finds a lab that is up.
	Join(ctx context.Context, lab string, flags engine.Target) (*engine.Session, error)
	// Exclusive runs f while no other labctl changes the lab's cluster.
	Exclusive(ctx context.Context, s *engine.Session, command string, sink ui.Sink, f func() error) error
	// Status tells where labs stand.
	Status(ctx context.Context, lab string, flags engine.Target) (*engine.Status, error)
}

// Runner runs the checks of one lab.
type Runner interface {
	Run(ctx context.Context, r check.Request) ([]check.Result, error)
}

var (
	_ Engine = (*engine.Engine)(nil)
	_ Runner = (*check.Runner)(nil)
)

// Deps are what a Practice works with.
type Deps struct {
	Engine Engine
	State  *state.Dir
	Log    *slog.Logger
	// Now is the clock; nil is the real one.
	Now func() time.Time
	// Runner makes the runner of a lab's checks; nil makes the real one.
	Runner func(s *engine.Session, exclusive check.Exclusive) (Runner, error)
	// Drills makes what runs the steps of solutions and faults; nil makes the
	// real one.
	Drills func(s *engine.Session) Stepper
}

// Practice runs the flows. It is safe for concurrent use.
type Practice struct{ deps Deps }

// New makes a Practice.
func New(d Deps) *Practice {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Runner == nil {
		d.Runner = newRunner
	}
	if d.Drills == nil {
		d.Drills = newStepper
	}
	return &Practice{deps: d}
}

func newRunner(s *engine.Session, exclusive check.Exclusive) (Runner, error) {
	prober := probe.New(probe.Config{Client: s.Client, Namespace: s.Namespace, Files: s.Files})
	return check.New(s.Lab, s.Namespace, prober, check.WithExclusive(exclusive))
}

// session is a lab that is up, with its history and the runner of its checks.
type session struct {
	*engine.Session
	store  *progress.Store
	runner Runner
}

// join finds the lab. Without a name it is the one lab that is up.
func (p *Practice) join(ctx context.Context, name string, flags engine.Target, sink ui.Sink) (*session, error) {
	name, err := p.which(ctx, name)
	if err != nil {
		return nil, err
	}
	s, err := p.deps.Engine.Join(ctx, name, flags)
	if err != nil {
		return nil, err
	}
	store, err := progress.Open(p.deps.State, s.Name, s.Installation, p.deps.Now)
	if err != nil {
		return nil, err
	}
	runner, err := p.deps.Runner(s, func(ctx context.Context) (context.Context, func(), error) { return s.HoldActive(ctx, sink) })
	if err != nil {
		return nil, &clierr.Error{Op: "read the checks of " + name, Err: err, Hint: "correct the lab's files: labctl lint " + name, Code: clierr.CodeUsage, ID: "lab-invalid"}
	}
	return &session{Session: s, store: store, runner: runner}, nil
}

// which gives the lab that is meant.
func (p *Practice) which(ctx context.Context, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	st, err := p.deps.Engine.Status(ctx, "", engine.Target{})
	if err != nil {
		return "", err
	}
	up := make([]string, 0, len(st.Labs))
	for _, l := range st.Labs {
		up = append(up, l.Lab)
	}
	switch len(up) {
	case 1:
		return up[0], nil
	case 0:
		return "", clierr.New("labctl list shows the labs, labctl up <lab> brings one up", "no lab is up")
	default:
		return "", clierr.Usage("name one of them", "%d labs are up: %s", len(up), strings.Join(up, ", "))
	}
}

// task gives the task of that id, or an error with near matches.
func (s *session) task(id string) (*lab.Task, error) {
	if t, ok := s.Lab.Task(id); ok {
		return t, nil
	}
	return nil, UnknownTask(s.Lab, id)
}
