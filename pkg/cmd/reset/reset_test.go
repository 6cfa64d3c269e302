package reset

import (
	"context"
	"errors"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Reset   engine.ResetOptions
	Yes     bool
	Timeout cmdutil.Timeout
	Output  ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Reset, o.Yes, o.Timeout, o.Output} }, map[string]cmdtest.Line[given]{
		"a lab": {Args: []string{"x"}, Want: given{Reset: engine.ResetOptions{Lab: "x"}, Output: ui.Text}},
		"all flags": {
			Args: []string{"x", "-y", "--timeout", "1m", "--context", "c", "-o", "json"},
			Want: given{engine.ResetOptions{Lab: "x", Target: engine.Target{Context: "c"}}, true, cmdutil.Timeout(time.Minute), ui.JSON},
		},
		"no lab":   {Code: clierr.CodeUsage},
		"two labs": {Args: []string{"x", "y"}, Code: clierr.CodeUsage},
	})
}

// fake is an engine with a fixed answer.
type fake struct {
	res *engine.ResetResult
	err error
}

func (f fake) Reset(_ context.Context, _ engine.ResetOptions, sink ui.Sink) (*engine.ResetResult, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "clean", Title: "Objects"})
	return f.res, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	much := engine.ResetResult{
		Lab: "model-registry", Target: "local cluster", Removed: []string{"configmap/mine", "deployment/canary"},
		Restored: []string{"deployment/mlflow", "secret/postgres"}, Upgraded: true, Resumed: true,
		Steps: []engine.Timing{{Step: "clean", Seconds: 0.5}, {Step: "seed", Seconds: 4.25}},
	}
	nothing := engine.ResetResult{Lab: "model-registry", Target: "context c", Removed: []string{}, Restored: []string{}, Steps: []engine.Timing{}}
	tests := map[string]struct {
		res    engine.ResetResult
		output ui.Format
	}{
		"much.txt":     {much, ui.Text},
		"much.json":    {much, ui.JSON},
		"nothing.txt":  {nothing, ui.Text},
		"nothing.json": {nothing, ui.JSON},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Console: s.Console, Output: tt.output, Engine: func() (Resetter, error) { return fake{res: &tt.res}, nil }}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
			s.WantErrOut(t, "==> Objects")
		})
	}
}

// TestAsks: on a terminal nothing is thrown away without a word.
func TestAsks(t *testing.T) {
	t.Parallel()
	for answer, done := range map[string]bool{"y\n": true, "n\n": false} {
		s := cmdtest.NewStreams()
		s.IO.SetTTY(true)
		s.In.WriteString(answer)
		res := &engine.ResetResult{Lab: "x"}
		o := &Options{
			IO: s.IO, Console: s.Console, Reset: engine.ResetOptions{Lab: "x"},
			Engine: func() (Resetter, error) { return fake{res: res}, nil },
		}
		if err := run(t.Context(), o); (err == nil) != done {
			t.Errorf("%q: %v", answer, err)
		}
		if (s.Out.Len() > 0) != done {
			t.Errorf("%q: stdout has %q", answer, s.Out)
		}
		s.WantErrOut(t, "all work in x. Go on?")
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, engine := range map[string]func() (Resetter, error){
		"no engine": func() (Resetter, error) { return nil, broken },
		"no lab":    func() (Resetter, error) { return fake{err: broken}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			if err := run(t.Context(), &Options{IO: s.IO, Console: s.Console, Engine: engine}); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			s.WantOut(t, "")
		})
	}
}
