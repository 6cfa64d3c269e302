package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/ui"
)

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []ui.Event
}

func (r *recorder) Emit(e ui.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// testRunner gives a runner whose clock goes on a second at each look.
func testRunner() (*runner, *recorder) {
	rec := &recorder{}
	r := newRunner(rec)
	var mu sync.Mutex
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
	return r, rec
}

func does(note string, err error) func(context.Context, reporter) (string, error) {
	return func(context.Context, reporter) (string, error) { return note, err }
}

func TestRunStep(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	found := func(ok bool, err error) func(context.Context) (bool, string, error) {
		return func(context.Context) (bool, string, error) { return ok, "found", err }
	}
	start := ui.Event{Kind: ui.StepStart, Step: "s", Title: "S"}
	tests := map[string]struct {
		step    step
		err     error
		events  []ui.Event
		timings []Timing
	}{
		"does its work": {
			step:    step{run: does("made", nil)},
			events:  []ui.Event{start, {Kind: ui.StepDone, Step: "s", Title: "S", Text: "made", Elapsed: time.Second}},
			timings: []Timing{{Step: "s", Seconds: 1}},
		},
		"was done before": {
			step:    step{done: found(true, nil), run: does("", errors.New("must not run"))},
			events:  []ui.Event{{Kind: ui.StepSkip, Step: "s", Title: "S", Text: "found", Elapsed: time.Second}},
			timings: []Timing{{Step: "s", Seconds: 1, Skipped: true}},
		},
		"was not done": {
			step:    step{done: found(false, nil), run: does("made", nil)},
			events:  []ui.Event{start, {Kind: ui.StepDone, Step: "s", Title: "S", Text: "made", Elapsed: time.Second}},
			timings: []Timing{{Step: "s", Seconds: 1}},
		},
		"can't tell": {
			step: step{done: found(false, broken), run: does("", errors.New("must not run"))}, err: broken, timings: []Timing{},
		},
		"fails": {
			step: step{run: does("half", broken)}, err: broken,
			events:  []ui.Event{start, {Kind: ui.StepFail, Step: "s", Title: "S", Text: "broken", Elapsed: time.Second}},
			timings: []Timing{{Step: "s", Seconds: 1}},
		},
		"reports": {
			step: step{run: func(_ context.Context, r reporter) (string, error) {
				r.update("working")
				r.row(ui.Event{Item: "i", State: ui.Ready})
				r.Emit(ui.Event{Kind: ui.Note, Step: "other", Text: "n"})
				return "", nil
			}},
			events: []ui.Event{
				start,
				{Kind: ui.StepUpdate, Step: "s", Text: "working"},
				{Kind: ui.Row, Step: "s", Item: "i", State: ui.Ready},
				{Kind: ui.Note, Step: "s", Text: "n"},
				{Kind: ui.StepDone, Step: "s", Title: "S", Elapsed: time.Second},
			},
			timings: []Timing{{Step: "s", Seconds: 1}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, rec := testRunner()
			tt.step.id, tt.step.title = "s", "S"
			if err := r.run(t.Context(), tt.step); !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.events, rec.events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.timings, r.timings.all()); diff != "" {
				t.Errorf("timings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSeriesStopsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r, _ := testRunner()
	err := r.series(t.Context(),
		step{id: "a", run: does("", nil)}, step{id: "b", run: does("", broken)}, step{id: "c", run: does("", nil)})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	var ran []string
	for _, x := range r.timings.all() {
		ran = append(ran, x.Step)
	}
	if diff := cmp.Diff([]string{"a", "b"}, ran); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// TestInterrupted: after Ctrl-C no further step begins, and the cause is told.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	r, rec := testRunner()
	err := r.series(ctx,
		step{id: "a", run: func(context.Context, reporter) (string, error) {
			cancel(clierr.ErrInterrupted)
			return "ended well", nil
		}},
		step{
			id:   "b",
			done: func(context.Context) (bool, string, error) { return false, "", errors.New("must not be asked") },
			run:  does("", errors.New("must not run")),
		})
	if !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("error %v", err)
	}
	if n := len(rec.events); n != 2 {
		t.Errorf("%d events: %v", n, rec.events)
	}
}

// TestTogether: the first failure cancels the others, and its error is the one
// that counts; all have ended when together returns.
func TestTogether(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r, _ := testRunner()
	begun := make(chan struct{})
	ended := false // not guarded: the race detector tells when it is read too early
	err := r.together(t.Context(),
		step{id: "waits", run: func(ctx context.Context, _ reporter) (string, error) {
			close(begun)
			<-ctx.Done()
			ended = true
			return "", ctx.Err()
		}},
		step{id: "fails", run: func(context.Context, reporter) (string, error) {
			<-begun
			return "", broken
		}})
	if !errors.Is(err, broken) || !ended {
		t.Errorf("error %v, the other ended: %v", err, ended)
	}
	if n := len(r.timings.all()); n != 2 {
		t.Errorf("%d timings", n)
	}
}

func TestTogetherRunsAll(t *testing.T) {
	t.Parallel()
	r, _ := testRunner()
	first, second := newGate(), newGate()
	err := r.together(t.Context(),
		step{id: "a", run: func(ctx context.Context, _ reporter) (string, error) {
			first.open()
			return "", waitAll(ctx, second)
		}},
		step{id: "b", run: func(ctx context.Context, _ reporter) (string, error) {
			second.open()
			return "", waitAll(ctx, first)
		}})
	if err != nil {
		t.Error(err)
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	open, closed := newGate(), newGate()
	open.open()
	open.open() // once more does no harm
	if err := waitAll(t.Context(), open, open); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(clierr.ErrInterrupted)
	if err := waitAll(ctx, closed); !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("error %v", err)
	}
}
