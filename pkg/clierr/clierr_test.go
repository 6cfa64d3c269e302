package clierr_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
)

func TestCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, clierr.CodeOK},
		{"plain", errors.New("x"), clierr.CodeFailed},
		{"usage", clierr.Usage("h", "x"), clierr.CodeUsage},
		{"unfit below a wrap", fmt.Errorf("up: %w", clierr.Unfit("memory", "h", "x")), clierr.CodeUnfit},
		{"interrupted", fmt.Errorf("up: %w", clierr.ErrInterrupted), clierr.CodeInterrupted},
		{"interrupted beats a code", clierr.Unfit("id", "h", "x: %w", clierr.ErrInterrupted), clierr.CodeInterrupted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := clierr.Code(tt.err); got != tt.want {
				t.Errorf("Code() = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestWrapKeepsTheAdviceOfTheCause(t *testing.T) {
	t.Parallel()
	cause := clierr.Unfit("engine-down", "start the engine", "no answer")
	cause.Detail = "line 1\nline 2\n"
	got := clierr.Describe(clierr.Wrap(cause, "up model-registry", "run labctl doctor"))
	want := clierr.Report{ID: "engine-down", Error: "up model-registry: no answer", Hint: "start the engine", Detail: "line 1\nline 2", Code: clierr.CodeUnfit}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Describe() (-want +got):\n%s", diff)
	}
	if clierr.Wrap(nil, "op", "hint") != nil {
		t.Error("Wrap(nil) is an error")
	}
	if got := clierr.Describe(clierr.Wrap(errors.New("boom"), "op", "hint")).Hint; got != "hint" {
		t.Errorf("hint of a plain cause is %q", got)
	}
}
