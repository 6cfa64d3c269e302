package engine

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/pkg/ui"
)

// step is one stage of an operation. A step whose done says yes is skipped, so
// that an operation that was cut off goes on where it stopped.
type step struct {
	id    string
	title string
	// done tells whether there is nothing to do, with a word on what it found.
	// nil means that the step always runs.
	done func(ctx context.Context) (ok bool, note string, err error)
	// run does the work and says in a few words what came of it.
	run func(ctx context.Context, r reporter) (note string, err error)
}

// Timing is how long one step of an operation took.
type Timing struct {
	Step    string  `json:"step"`
	Seconds float64 `json:"seconds"`
	Skipped bool    `json:"skipped,omitempty"`
}

// reporter emits the events of one step.
type reporter struct {
	step string
	sink ui.Sink
}

// update says what the step is doing.
func (r reporter) update(text string) {
	r.sink.Emit(ui.Event{Kind: ui.StepUpdate, Step: r.step, Text: text})
}

// row reports one item of the step.
func (r reporter) row(e ui.Event) {
	e.Kind, e.Step = ui.Row, r.step
	r.sink.Emit(e)
}

// Emit makes a reporter a sink that puts every event under its step.
func (r reporter) Emit(e ui.Event) {
	e.Step = r.step
	r.sink.Emit(e)
}

// runner runs steps and keeps their timings.
type runner struct {
	sink    ui.Sink
	now     func() time.Time
	timings timings
}

func newRunner(sink ui.Sink) *runner { return &runner{sink: sink, now: time.Now} }

// run runs one step to its end.
func (r *runner) run(ctx context.Context, s step) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	begin := r.now()
	if s.done != nil {
		ok, note, err := s.done(ctx)
		if err != nil {
			return err
		}
		if ok {
			elapsed := r.now().Sub(begin)
			r.timings.add(Timing{Step: s.id, Seconds: elapsed.Seconds(), Skipped: true})
			r.sink.Emit(ui.Event{Kind: ui.StepSkip, Step: s.id, Title: s.title, Text: note, Elapsed: elapsed})
			return nil
		}
	}
	r.sink.Emit(ui.Event{Kind: ui.StepStart, Step: s.id, Title: s.title})
	note, err := s.run(ctx, reporter{step: s.id, sink: r.sink})
	e := ui.Event{Kind: ui.StepDone, Step: s.id, Title: s.title, Text: note, Elapsed: r.now().Sub(begin)}
	if err != nil {
		e.Kind, e.Text = ui.StepFail, err.Error()
	}
	r.timings.add(Timing{Step: s.id, Seconds: e.Elapsed.Seconds()})
	r.sink.Emit(e)
	return err
}

// series runs steps one after the other.
func (r *runner) series(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		if err := r.run(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// together runs steps side by side. The first failure cancels the others, and
// all have ended when it returns, so that nothing goes on behind the caller's
// back.
func (r *runner) together(ctx context.Context, steps ...step) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range steps {
		group.Go(func() error { return r.run(ctx, s) })
	}
	return group.Wait()
}
