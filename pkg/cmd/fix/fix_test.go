package fix

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
	Lab, Fault string
	Target     engine.Target
	Yes        bool
	Timeout    cmdutil.Timeout
	Output     ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	pick := func(o *Options) given { return given{o.Fix.Lab, o.Fix.Fault, o.Fix.Target, o.Yes, o.Timeout, o.Output} }
	cmdtest.Lines(t, NewCmd, pick, map[string]cmdtest.Line[given]{
		"the lab that is up": {Want: given{Output: ui.Text}},
		"a lab":              {Args: []string{"x"}, Want: given{Lab: "x", Output: ui.Text}},
		"all flags": {
			Args: []string{"x", "registry-down", "-y", "--timeout", "1m", "--context", "c", "-o", "json"},
			Want: given{"x", "registry-down", engine.Target{Context: "c"}, true, cmdutil.Timeout(time.Minute), ui.JSON},
		},
		"too many": {Args: []string{"x", "y", "z"}, Code: clierr.CodeUsage},
	})
}

// fake is a practice with a fixed answer.
type fake struct {
	rep *practice.FixReport
	err error
}

func (f fake) Fix(_ context.Context, _ practice.FixOptions, sink ui.Sink) (*practice.FixReport, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "s", Title: "Steps"})
	return f.rep, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	out := practice.FixReport{
		Lab: "model-registry", Fault: "registry-down", Title: "The registry is down", Cause: "somebody scaled it to nothing", WasIn: true,
		Next: &practice.Next{Command: "labctl check model-registry", Text: "looks whether all of it passes again"},
	}
	again := out
	again.WasIn = false
	tests := map[string]struct {
		rep    practice.FixReport
		output ui.Format
	}{
		"out.txt":   {out, ui.Text},
		"out.json":  {out, ui.JSON},
		"again.txt": {again, ui.Text},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Console: s.Console, Output: tt.output, Practice: func() (Fixer, error) { return fake{rep: &tt.rep}, nil }}
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
	for name, practice := range map[string]func() (Fixer, error){
		"no engine": func() (Fixer, error) { return nil, broken },
		"no lab":    func() (Fixer, error) { return fake{err: broken}, nil },
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

// TestDeclined: an answer of no is no result.
func TestDeclined(t *testing.T) {
	t.Parallel()
	s := cmdtest.NewStreams()
	rep := &practice.FixReport{Lab: "x", Declined: true}
	err := run(t.Context(), &Options{IO: s.IO, Console: s.Console, Practice: func() (Fixer, error) { return fake{rep: rep}, nil }})
	if d := clierr.Describe(err); d.Code != clierr.CodeFailed || d.Hint == "" {
		t.Errorf("%+v", d)
	}
	s.WantOut(t, "")
}
