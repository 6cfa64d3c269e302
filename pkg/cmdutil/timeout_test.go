package cmdutil

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/ui"
)

func TestTimeoutFlag(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want Timeout
		text string
		ok   bool
	}{
		"0": {0, "0", true}, "90s": {Timeout(90 * time.Second), "1m30s", true}, "10m": {Timeout(10 * time.Minute), "10m", true},
		"120m": {Timeout(2 * time.Hour), "2h", true}, "1h5m": {Timeout(65 * time.Minute), "1h5m", true},
		"-1m": {}, "10": {}, "soon": {},
	}
	for value, tt := range tests {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			var got Timeout
			fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
			AddTimeoutFlag(fs, &got)
			err := fs.Parse([]string{"--timeout=" + value})
			if (err == nil) != tt.ok || got != tt.want {
				t.Fatalf("got %v, %v", got, err)
			}
			if tt.ok && got.String() != tt.text {
				t.Errorf("text %q, want %q", got.String(), tt.text)
			}
		})
	}
}

// step reports a step that begins, and ends it well or not.
func step(sink ui.Sink, kind ui.Kind, id string) {
	sink.Emit(ui.Event{Kind: kind, Step: id, Title: "Title of " + id})
}

func TestTimeoutRunsOut(t *testing.T) {
	t.Parallel()
	hint := "finished steps stay, half-made things were removed; the same command goes on from there, with more time or without --timeout"
	tests := map[string]struct {
		work func(ctx context.Context, sink ui.Sink) error
		want clierr.Report
	}{
		"in steps": {
			work: func(ctx context.Context, sink ui.Sink) error {
				step(sink, ui.StepStart, "a")
				step(sink, ui.StepDone, "a")
				step(sink, ui.StepSkip, "b")
				step(sink, ui.StepStart, "c")
				step(sink, ui.StepStart, "d")
				<-ctx.Done()
				step(sink, ui.StepFail, "c")
				return clierr.Wrap(context.Cause(ctx), "create cluster", "labctl doctor")
			},
			want: clierr.Report{Error: "up x: --timeout 10m ran out during: Title of c, Title of d", Detail: "create cluster: --timeout 10m ran out"},
		},
		"between steps": {
			work: func(ctx context.Context, _ ui.Sink) error {
				<-ctx.Done()
				return context.Cause(ctx)
			},
			want: clierr.Report{Error: "up x: --timeout 10m ran out"},
		},
		"with details, and another exit code": {
			work: func(ctx context.Context, _ ui.Sink) error {
				<-ctx.Done()
				return &clierr.Error{Err: errors.New("1 of 2 workloads were not ready in time"), Detail: "postgres: pulling", Code: clierr.CodeUnfit}
			},
			want: clierr.Report{Error: "up x: --timeout 10m ran out", Detail: "1 of 2 workloads were not ready in time\npostgres: pulling"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				limit, begin := Timeout(10*time.Minute), time.Now()
				var events int
				err := limit.Run(t.Context(), "up x", ui.SinkFunc(func(ui.Event) { events++ }), tt.work)
				if took := time.Since(begin); took != 10*time.Minute {
					t.Errorf("ended after %s", took)
				}
				tt.want.ID, tt.want.Hint, tt.want.Code = "timeout", hint, clierr.CodeFailed
				if diff := cmp.Diff(tt.want, clierr.Describe(err)); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, clierr.ErrInterrupted) {
					t.Errorf("error %v is not a deadline", err)
				}
				if name == "in steps" && events != 6 {
					t.Errorf("%d events passed on", events)
				}
			})
		})
	}
}

// TestTimeoutLeavesAlone: what ends in time, or for another reason, ends with
// its own error.
func TestTimeoutLeavesAlone(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]struct {
		limit Timeout
		work  func(ctx context.Context, stop context.CancelCauseFunc) error
		want  error
	}{
		"done":   {Timeout(time.Minute), func(context.Context, context.CancelCauseFunc) error { return nil }, nil},
		"failed": {Timeout(time.Minute), func(context.Context, context.CancelCauseFunc) error { return broken }, broken},
		"no limit": {0, func(context.Context, context.CancelCauseFunc) error {
			time.Sleep(100 * time.Hour) //nolint:forbidigo // the time of the bubble
			return broken
		}, broken},
		"done in spite of it": {Timeout(time.Minute), func(ctx context.Context, _ context.CancelCauseFunc) error {
			<-ctx.Done()
			return nil
		}, nil},
		"interrupted": {Timeout(time.Minute), func(ctx context.Context, stop context.CancelCauseFunc) error {
			stop(clierr.ErrInterrupted)
			<-ctx.Done()
			return context.Cause(ctx)
		}, clierr.ErrInterrupted},
		"interrupted, and slow to end": {Timeout(time.Minute), func(ctx context.Context, stop context.CancelCauseFunc) error {
			stop(clierr.ErrInterrupted)
			time.Sleep(time.Hour) //nolint:forbidigo // the time of the bubble
			return context.Cause(ctx)
		}, clierr.ErrInterrupted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				err := tt.limit.Run(ctx, "up x", ui.Discard(), func(ctx context.Context, _ ui.Sink) error { return tt.work(ctx, stop) })
				if err != tt.want { //nolint:errorlint // nothing is added to it
					t.Errorf("error %v, want %v", err, tt.want)
				}
			})
		})
	}
}
