package solve

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
	Lab, To string
	Target  engine.Target
	Yes     bool
	Timeout cmdutil.Timeout
	Output  ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	pick := func(o *Options) given {
		return given{o.Solve.Lab, o.Solve.To, o.Solve.Target, o.Yes, o.Timeout, o.Output}
	}
	cmdtest.Lines(t, NewCmd, pick, map[string]cmdtest.Line[given]{
		"the lab that is up": {Want: given{Output: ui.Text}},
		"a lab":              {Args: []string{"x"}, Want: given{Lab: "x", Output: ui.Text}},
		"all flags": {
			Args: []string{"x", "--to", "pin", "-y", "--timeout", "1m", "--context", "c", "-o", "json"},
			Want: given{"x", "pin", engine.Target{Context: "c"}, true, cmdutil.Timeout(time.Minute), ui.JSON},
		},
		"two labs": {Args: []string{"x", "y"}, Code: clierr.CodeUsage},
	})
}

// fake is a practice with a fixed answer.
type fake struct {
	rep *practice.SolveReport
	err error
}

func (f fake) Solve(_ context.Context, _ practice.SolveOptions, sink ui.Sink) (*practice.SolveReport, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "s", Title: "Steps"})
	return f.rep, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	some := practice.SolveReport{
		Lab:   "model-registry",
		Tasks: []practice.SolvedTask{{ID: "register", Title: "Register the run", Own: true, Seconds: 1.5}, {ID: "pin", Title: "Pin the deployment", Seconds: 12}},
		Notes: []string{"MR4c does not pass after the solution: 0 of 600"},
		Next:  &practice.Next{Command: "labctl check model-registry", Text: "looks whether all of it passes"},
	}
	tests := map[string]struct {
		rep    practice.SolveReport
		output ui.Format
	}{
		"some.txt":  {some, ui.Text},
		"some.json": {some, ui.JSON},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Console: s.Console, Output: tt.output, Practice: func() (Solver, error) { return fake{rep: &tt.rep}, nil }}
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
	for name, practice := range map[string]func() (Solver, error){
		"no engine": func() (Solver, error) { return nil, broken },
		"no lab":    func() (Solver, error) { return fake{err: broken}, nil },
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
	rep := &practice.SolveReport{Lab: "x", Declined: true}
	err := run(t.Context(), &Options{IO: s.IO, Console: s.Console, Practice: func() (Solver, error) { return fake{rep: rep}, nil }})
	if d := clierr.Describe(err); d.Code != clierr.CodeFailed || d.Hint == "" {
		t.Errorf("%+v", d)
	}
	s.WantOut(t, "")
}
