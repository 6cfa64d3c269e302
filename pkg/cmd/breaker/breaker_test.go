package breaker

import (
	"context"
	"errors"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Break   practice.BreakOptions
	Timeout cmdutil.Timeout
	Output  ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Break, o.Timeout, o.Output} }, map[string]cmdtest.Line[given]{
		"the lab that is up": {Want: given{Output: ui.Text}},
		"a lab":              {Args: []string{"x"}, Want: given{Break: practice.BreakOptions{Lab: "x"}, Output: ui.Text}},
		"a fault": {
			Args: []string{"x", "registry-down", "--force", "--timeout", "1m", "--context", "c", "-o", "json"},
			Want: given{practice.BreakOptions{Lab: "x", Fault: "registry-down", Force: true, Target: engine.Target{Context: "c"}}, cmdutil.Timeout(time.Minute), ui.JSON},
		},
		"any": {
			Args: []string{"x", "--random", "--solve-first"},
			Want: given{Break: practice.BreakOptions{Lab: "x", Random: true, SolveFirst: true}, Output: ui.Text},
		},
		"a fault and any": {Args: []string{"x", "y", "--random"}, Code: clierr.CodeUsage},
		"too many":        {Args: []string{"x", "y", "z"}, Code: clierr.CodeUsage},
	})
}

// fake is a practice with a fixed answer.
type fake struct {
	rep *practice.BreakReport
	err error
}

func (f fake) Break(_ context.Context, _ practice.BreakOptions, sink ui.Sink) (*practice.BreakReport, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "s", Title: "Steps"})
	return f.rep, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	fault := practice.BreakReport{
		Lab: "model-registry", Fault: "registry-down", Story: "Registry is down. Are we down?", Symptoms: []string{"MLflow answers 503", "predictions still come"},
		Injected: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Bonus: 10,
		Next: []practice.Next{{Command: "labctl check model-registry", Text: "tells what fails"}, {Command: "labctl fix model-registry", Text: "gives up"}},
	}
	tests := map[string]struct {
		rep    practice.BreakReport
		output ui.Format
	}{
		"fault.txt":  {fault, ui.Text},
		"fault.json": {fault, ui.JSON},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Console: s.Console, Output: tt.output, Practice: func() (Breaker, error) { return fake{rep: &tt.rep}, nil }}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
			s.WantErrOut(t, "==> Steps")
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, practice := range map[string]func() (Breaker, error){
		"no engine": func() (Breaker, error) { return nil, broken },
		"no lab":    func() (Breaker, error) { return fake{err: broken}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			if err := run(t.Context(), &Options{IO: s.IO, Console: s.Console, Practice: practice}); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			s.WantOut(t, "")
		})
	}
}
