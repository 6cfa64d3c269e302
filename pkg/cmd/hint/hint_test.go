package hint

import (
	"context"
	"errors"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Lab, Task   string
	Fault, Paid bool
	Target      engine.Target
	Output      ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	pick := func(o *Options) given {
		return given{o.Hint.Lab, o.Hint.Task, o.Hint.Fault, o.Hint.Paid, o.Hint.Target, o.Output}
	}
	cmdtest.Lines(t, NewCmd, pick, map[string]cmdtest.Line[given]{
		"the task at hand": {Want: given{Output: ui.Text}},
		"a task":           {Args: []string{"x", "pin", "--context=c"}, Want: given{Lab: "x", Task: "pin", Target: engine.Target{Context: "c"}, Output: ui.Text}},
		"a fault":          {Args: []string{"x", "--fault", "-y", "-ojson"}, Want: given{Lab: "x", Fault: true, Paid: true, Output: ui.JSON}},
		"three names":      {Args: []string{"x", "y", "z"}, Code: clierr.CodeUsage},
		"task and fault":   {Args: []string{"x", "pin", "--fault"}, Code: clierr.CodeUsage},
	})
}

// fake is a Practice with a fixed answer.
type fake struct {
	rep *practice.HintReport
	err error
}

func (f fake) Hint(context.Context, practice.HintOptions, ui.Sink) (*practice.HintReport, error) {
	return f.rep, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	one := practice.Hint{Level: 1, Text: "`:latest` again.", At: day}
	two := practice.Hint{Level: 2, When: "alias-in-uri", Text: "You resolved the name but not the number. Who resolves it at 3 a.m., when a pod restarts on another node?", Price: 1, At: day}
	three := practice.Hint{Level: 3, Text: "Run this:\n\n    registry pin predictor\n", Price: 3, At: day}
	base := practice.HintReport{Lab: "model-registry", Task: "pin", Title: "Pin the deployment", Max: 14}
	rep := func(change func(*practice.HintReport)) practice.HintReport {
		r := base
		change(&r)
		return r
	}
	tests := map[string]struct {
		rep    practice.HintReport
		tty    bool
		output ui.Format
	}{
		"first.txt": {rep: rep(func(r *practice.HintReport) {
			r.Hints, r.Opened, r.Offer = []practice.Hint{one}, true, &practice.HintOffer{Level: 2, Price: 1}
		}), output: ui.Text},
		"second.txt": {rep: rep(func(r *practice.HintReport) {
			r.Hints, r.Opened, r.Cost, r.Offer = []practice.Hint{one, two}, true, 1, &practice.HintOffer{Level: 3, Price: 3}
		}), tty: true, output: ui.Text},
		"last.txt":     {rep: rep(func(r *practice.HintReport) { r.Hints, r.Cost, r.Opened = []practice.Hint{one, two, three}, 4, true }), output: ui.Text},
		"last.json":    {rep: rep(func(r *practice.HintReport) { r.Hints, r.Cost, r.Opened = []practice.Hint{one, two, three}, 4, true }), output: ui.JSON},
		"terminal.txt": {rep: rep(func(r *practice.HintReport) { r.Hints, r.Cost = []practice.Hint{three}, 3 }), tty: true, output: ui.Text},
		"declined.txt": {rep: rep(func(r *practice.HintReport) { r.Declined, r.Offer = true, &practice.HintOffer{Level: 2, Price: 1} }), output: ui.Text},
		"passed.txt":   {rep: rep(func(r *practice.HintReport) { r.Passed = true }), output: ui.Text},
		"none.txt":     {rep: rep(func(*practice.HintReport) {}), output: ui.Text},
		"fault.txt": {rep: practice.HintReport{
			Lab: "model-registry", Fault: "registry-down", Title: "the fault", Max: 10, Hints: []practice.Hint{one}, Opened: true,
		}, output: ui.Text},
		"free.txt": {rep: rep(func(r *practice.HintReport) {
			r.Hints, r.Opened, r.Offer = []practice.Hint{one}, true, &practice.HintOffer{Level: 2}
		}), output: ui.Text},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			s.IO.SetTTY(tt.tty)
			o := &Options{IO: s.IO, Console: s.Console, Output: tt.output, Practice: func() (Hinter, error) { return fake{rep: &tt.rep}, nil }}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, p := range map[string]func() (Hinter, error){
		"no practice": func() (Hinter, error) { return nil, broken },
		"no answer":   func() (Hinter, error) { return fake{err: broken}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			if err := run(t.Context(), &Options{IO: s.IO, Console: s.Console, Practice: p}); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			s.WantOut(t, "")
		})
	}
}
