package practice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/drill"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// Stepper runs steps on one lab.
type Stepper interface {
	Run(ctx context.Context, steps []lab.Step, onStep func(i, n int, text string)) error
}

var _ Stepper = (*drill.Runner)(nil)

func newStepper(s *engine.Session) Stepper {
	prober := probe.New(probe.Config{Client: s.Client, Namespace: s.Namespace, Files: s.Files})
	return drill.New(drill.Config{Client: s.Client, Namespace: s.Namespace, Files: s.Files, Prober: prober, Lab: s.Lab})
}

// SolveOptions say which tasks to solve.
type SolveOptions struct {
	Lab    string // empty: the one lab that is up
	To     string // the last task; empty: all
	Target engine.Target
	// Confirm asks the user; nil when nobody can answer, or need not.
	Confirm func(ctx context.Context, question string) (bool, error)
}

// SolveReport is what solving came to.
type SolveReport struct {
	Lab   string       `json:"lab"`
	Tasks []SolvedTask `json:"tasks"`
	// Declined tells that the user did not want it.
	Declined bool     `json:"declined,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	Next     *Next    `json:"next,omitempty"`
}

// SolvedTask is a task whose solution was run.
type SolvedTask struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Own tells that the learner had passed it before, and keeps the points.
	Own     bool    `json:"own"`
	Seconds float64 `json:"seconds"`
}

// Solve runs the solutions of the first tasks, up to one of them.
func (p *Practice) Solve(ctx context.Context, o SolveOptions, sink ui.Sink) (*SolveReport, error) {
	s, err := p.join(ctx, o.Lab, o.Target, sink)
	if err != nil {
		return nil, err
	}
	tasks, err := s.upTo(o.To)
	if err != nil {
		return nil, err
	}
	rec := s.store.Record()
	if d := rec.OpenFault(); d != nil {
		return nil, faultIsIn(s.Name, *d)
	}
	rep := &SolveReport{Lab: s.Name, Tasks: []SolvedTask{}}
	if o.Confirm != nil {
		ok, err := o.Confirm(ctx, solveQuestion(tasks, rec))
		if err != nil {
			return nil, err
		}
		if !ok {
			rep.Declined = true
			return rep, nil
		}
	}
	err = p.deps.Engine.Exclusive(ctx, s.Session, "labctl solve "+s.Name, sink, func() error {
		rep.Tasks, rep.Notes, err = p.solve(ctx, s, tasks, sink)
		return err
	})
	if err != nil {
		return nil, err
	}
	rep.Next = &Next{"labctl check " + s.Name, "looks whether all of it passes"}
	return rep, nil
}

// upTo gives the tasks to the one of that id.
func (s *session) upTo(id string) ([]*lab.Task, error) {
	all, err := s.selected("")
	if err != nil || id == "" {
		return all, err
	}
	for i, t := range all {
		if t.ID == id {
			return all[:i+1], nil
		}
	}
	return nil, UnknownTask(s.Lab, id)
}

// solveQuestion says what solving costs.
func solveQuestion(tasks []*lab.Task, r progress.Record) string {
	lost := 0
	for _, t := range tasks {
		if r.Tasks[t.ID].Passed.IsZero() {
			lost++
		}
	}
	what := fmt.Sprintf("This runs the solutions of %d tasks", len(tasks))
	if len(tasks) == 1 {
		what = "This runs the solution of the task"
	}
	switch lost {
	case 0:
		return what + ", all of which you have passed; you keep the points. Go on?"
	case 1:
		return what + "; one of them you have not passed, and it earns nothing more. Go on?"
	default:
		return what + fmt.Sprintf("; %d of them you have not passed, and they earn nothing more. Go on?", lost)
	}
}

// solve runs solutions. The caller holds the lock.
func (p *Practice) solve(ctx context.Context, s *session, tasks []*lab.Task, sink ui.Sink) ([]SolvedTask, []string, error) {
	done := []SolvedTask{}
	var notes []string
	for _, t := range tasks {
		begin := p.deps.Now()
		rec := s.store.Record()
		own := !rec.Tasks[t.ID].Passed.IsZero()
		if !own {
			// First, so that what the solution brings never earns points.
			if err := s.store.Update(ctx, func(r *progress.Record) error {
				if r.Solved == nil {
					r.Solved = map[string]time.Time{}
				}
				r.Solved[t.ID] = p.now()
				return nil
			}); err != nil {
				return done, notes, err
			}
		}
		if err := p.steps(ctx, s, job{"solve-" + t.ID, t.Title, "solve " + t.ID, t.Solution}, sink); err != nil {
			return done, notes, err
		}
		note, err := p.latch(ctx, s, t, sink)
		if err != nil {
			return done, notes, err
		}
		if note != "" {
			notes = append(notes, note)
		}
		done = append(done, SolvedTask{ID: t.ID, Title: t.Title, Own: own, Seconds: p.deps.Now().Sub(begin).Seconds()})
	}
	return done, notes, nil
}

// latch runs the checks whose pass is kept: the next task ends the state in
// which they pass.
func (p *Practice) latch(ctx context.Context, s *session, t *lab.Task, sink ui.Sink) (note string, err error) {
	req := check.Request{Latched: latched(s), Only: map[string]bool{}}
	for i := range t.Checks {
		if c := &t.Checks[i]; c.Latch && s.store.Record().Checks[c.ID].Latched == nil {
			req.Checks = append(req.Checks, c.ID)
			if c.IsActive() {
				req.Only[c.ID] = true
			}
		}
	}
	if len(req.Checks) == 0 {
		return "", nil
	}
	results, err := observe(ctx, s, "Checks of "+t.Title, req, sink)
	if err != nil {
		return "", err
	}
	if err := s.store.Update(ctx, func(r *progress.Record) error {
		progress.Apply(s.Lab, r, results, p.now())
		return nil
	}); err != nil {
		return "", err
	}
	for _, r := range results {
		if !r.Along && !r.Passed() {
			return fmt.Sprintf("%s does not pass after the solution: %s", r.ID, r.Message), nil
		}
	}
	return "", nil
}

// job is a list of steps with a name: id and title for progress, op for errors.
type job struct {
	id, title, op string
	steps         []lab.Step
}

// steps runs steps and tells how far they are.
func (p *Practice) steps(ctx context.Context, s *session, j job, sink ui.Sink) error {
	begin := p.deps.Now()
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: j.id, Title: j.title})
	err := p.deps.Drills(s.Session).Run(ctx, j.steps, func(i, n int, text string) {
		sink.Emit(ui.Event{Kind: ui.StepUpdate, Step: j.id, Text: fmt.Sprintf("step %d of %d: %s", i, n, text)})
	})
	e := ui.Event{Kind: ui.StepDone, Step: j.id, Title: j.title, Elapsed: p.deps.Now().Sub(begin)}
	if err != nil {
		e.Kind, e.Text = ui.StepFail, err.Error()
	}
	sink.Emit(e)
	var failed *drill.StepError
	if errors.As(err, &failed) {
		return &clierr.Error{Op: j.op, Err: err, Detail: failed.Output, Hint: failed.Hint, ID: "step-failed"}
	}
	return clierr.Wrap(err, j.op, "")
}

// now is the time as records hold it.
func (p *Practice) now() time.Time { return p.deps.Now().UTC().Truncate(time.Second) }

// faultIsIn is the error for what can't be done while a fault is in.
func faultIsIn(name string, d progress.FaultDrill) error {
	return &clierr.Error{
		Err: fmt.Errorf("a fault is in %s since %s", name, d.Injected.Local().Format("15:04")), Code: clierr.CodeCheck, ID: "fault-in",
		Hint: fmt.Sprintf("labctl check %s tells when it is repaired, labctl fix %s takes it out", name, name),
	}
}
