package check

import (
	"context"
	"errors"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Lab, Task      string
	Active         bool
	Target         engine.Target
	Watch, Verbose bool
	Output         ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	pick := func(o *Options) given {
		return given{o.Check.Lab, o.Check.Task, o.Check.Active, o.Check.Target, o.Watch, o.Verbose, o.Output}
	}
	cmdtest.Lines(t, NewCmd, pick, map[string]cmdtest.Line[given]{
		"the lab that is up": {Want: given{Output: ui.Text}},
		"a lab":              {Args: []string{"x"}, Want: given{Lab: "x", Output: ui.Text}},
		"a task":             {Args: []string{"x", "pin", "-v"}, Want: given{Lab: "x", Task: "pin", Verbose: true, Output: ui.Text}},
		"without a question": {Args: []string{"x", "--yes", "-ojson"}, Want: given{Lab: "x", Active: true, Output: ui.JSON}},
		"watch":              {Args: []string{"-w", "--context", "c"}, Want: given{Watch: true, Target: engine.Target{Context: "c"}, Output: ui.Text}},
		"three names":        {Args: []string{"x", "pin", "y"}, Code: clierr.CodeUsage},
		"watch and yes":      {Args: []string{"--watch", "--yes"}, Code: clierr.CodeUsage},
		"watch as JSON":      {Args: []string{"--watch", "-ojson"}, Code: clierr.CodeUsage},
	})
}

// fake is a Practice with a fixed answer.
type fake struct {
	rep     *practice.CheckReport
	err     error
	rounds  [][]practice.Change
	confirm *bool // whether it may ask
}

func (f fake) Check(_ context.Context, o practice.CheckOptions, sink ui.Sink) (*practice.CheckReport, error) {
	if f.confirm != nil {
		*f.confirm = o.Confirm != nil
	}
	sink.Emit(ui.Event{Kind: ui.StepDone, Step: "checks", Title: "Checks", Text: "1 of 2 pass"})
	return f.rep, f.err
}

func (f fake) Watch(_ context.Context, _ practice.CheckOptions, _ ui.Sink, tell func(*practice.CheckReport, []practice.Change) error) (*practice.CheckReport, error) {
	for _, r := range f.rounds {
		if err := tell(f.rep, r); err != nil {
			return nil, err
		}
	}
	return f.rep, f.err
}

var day = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func result(id, task string, status check.Status, change func(*check.Result)) practice.CheckResult {
	r := check.Result{ID: id, Task: task, Status: status, Kind: "kube", Max: 5, Attempts: 1, Seconds: 0.2, ObservedAt: day}
	if status == check.StatusPass {
		r.Points = 5
	}
	if change != nil {
		change(&r)
	}
	return practice.CheckResult{Result: r}
}

func wrongURI(r *check.Result) {
	r.Essential = true
	r.Message = "Pods load models:/flight-delay@champion; champion is version 2. A name without a number can change under a running Deployment."
	r.Found, r.Expected, r.Where = "models:/flight-delay@champion", "models:/flight-delay/2", "Deployment/predictor"
	r.Why, r.Look = "With latest, a restart of a pod is a release that nobody reviewed.", "kubectl describe deployment predictor"
	r.NearMiss, r.Detail = "alias-in-uri", "env of container predictor:\n  MODEL_URI=models:/flight-delay@champion"
}

// report has a task in every state.
func report() *practice.CheckReport {
	lost := result("MR2a", "aliases", check.StatusFail, func(r *check.Result) {
		r.Message, r.Why = "alias champion is not set (HTTP 400, INVALID_PARAMETER_VALUE)", "On-call asks what is live."
		r.Look = "labctl shell model-registry -- registry alias"
	})
	lost.Regressed = true
	broad := result("MR4b", "promote", check.StatusFail, func(r *check.Result) { r.Message = "May promoter get secrets? Found yes, expected no." })
	broad.Regressed = true
	return &practice.CheckReport{
		Lab: "model-registry", Title: "Model registry", Namespace: "lab-model-registry", Target: "local cluster",
		Tasks: []practice.TaskReport{
			{
				TaskScore: progress.TaskScore{ID: "register", Title: "Register the run you would defend", State: progress.TaskPassed, Passed: true, Earned: 12, Now: 12, Max: 12},
				Checks:    []practice.CheckResult{result("MR1a", "register", check.StatusPass, nil), result("MR1b", "register", check.StatusPass, nil)},
			},
			{
				TaskScore: progress.TaskScore{ID: "aliases", Title: "Aliases carry the lifecycle", State: progress.TaskRegressed, Passed: true, Regressed: true, Earned: 8, Now: 3, Max: 8, Lost: []string{"MR2a"}},
				Checks: []practice.CheckResult{lost, result("MR2b", "aliases", check.StatusPass, nil), result("MR2c", "aliases", check.StatusBlocked, func(r *check.Result) {
					r.Message = "waits for MR2a"
				})},
			},
			{
				TaskScore: progress.TaskScore{ID: "pin", Title: "Pin the deployment", State: progress.TaskPartial, Earned: 5, Now: 5, Max: 14, HintCost: 1, HintLevel: 2},
				Checks: []practice.CheckResult{
					result("MR3a", "pin", check.StatusFail, wrongURI), result("MR3b", "pin", check.StatusWaiting, func(r *check.Result) {
						r.Message = "The server does not answer; rollout: 1 of 2 pods updated."
					}),
					result("MR3c", "pin", check.StatusError, func(r *check.Result) { r.Message = "the API server closed the connection" }),
					result("MR3d", "pin", check.StatusSkipped, func(r *check.Result) { r.Active = true }),
				},
			},
			{
				TaskScore: progress.TaskScore{ID: "promote", Title: "Promotion as code", State: progress.TaskPassed, Passed: true, Earned: 16, Now: 13, Max: 16, Lost: []string{"MR4b"}},
				Checks:    []practice.CheckResult{result("MR4a", "promote", check.StatusPass, nil), broad},
			},
		},
		Score: practice.Score{Earned: 25, Max: 34, BonusMax: 24},
		Notes: []string{"MR3d was not run: the other checks of the task come first"},
		Next:  &practice.Next{Command: "labctl hint model-registry pin", Text: `a hint for "Pin the deployment", if you are stuck`},
	}
}

// passed is a lab with everything done and a fault just repaired.
func passed(fixed bool) *practice.CheckReport {
	rep := report()
	rep.Tasks, rep.Notes, rep.Passed = rep.Tasks[:1], nil, true
	rep.Fault = &practice.FaultReport{ID: "registry-down", Title: "Registry down", Story: "Registry is down. Are we down?", Injected: day}
	rep.Score = practice.Score{Earned: 34, Max: 34, Passed: true, BonusMax: 24}
	rep.Next = &practice.Next{Command: "labctl break model-registry", Text: "a fault to find and repair, for 10 bonus points"}
	if fixed {
		rep.Fault.Fixed, rep.Fault.Cause, rep.Fault.Earned = day.Add(5*time.Minute), "PostgreSQL was scaled to 0.", 10
		rep.Score.Bonus, rep.Score.Distinction = 10, true
	}
	return rep
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rep     *practice.CheckReport
		task    string
		verbose bool
		tty     bool
		output  ui.Format
		code    int
	}{
		"mixed.txt":    {rep: report(), output: ui.Text, code: clierr.CodeCheck},
		"mixed.json":   {rep: report(), output: ui.JSON, code: clierr.CodeCheck},
		"terminal.txt": {rep: report(), output: ui.Text, tty: true, code: clierr.CodeCheck},
		"verbose.txt":  {rep: report(), output: ui.Text, verbose: true, code: clierr.CodeCheck},
		"fault.txt":    {rep: passed(false), output: ui.Text},
		"repaired.txt": {rep: passed(true), output: ui.Text},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			s.IO.SetTTY(tt.tty)
			asks := false
			o := &Options{
				IO: s.IO, Console: s.Console, Verbose: tt.verbose, Output: tt.output,
				Check:    practice.CheckOptions{Lab: "model-registry", Task: tt.task},
				Practice: func() (Checker, error) { return fake{rep: tt.rep, confirm: &asks}, nil },
			}
			if got := code(run(t.Context(), o)); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			s.WantOut(t, name)
			s.WantErrOut(t, "Checks")
			if asks != tt.tty {
				t.Errorf("may ask: %v", asks)
			}
		})
	}
}

// code is the exit code of what a command returns.
func code(err error) int {
	var reported *cmdutil.ReportedError
	if errors.As(err, &reported) {
		return reported.Code
	}
	return clierr.Code(err)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	rep := report()
	first, second := []practice.Change{}, []practice.Change{{Check: result("MR3a", "pin", check.StatusPass, nil), Was: check.StatusFail}}
	for _, task := range rep.Tasks {
		for _, c := range task.Checks {
			first = append(first, practice.Change{Check: c})
		}
	}
	s := cmdtest.NewStreams()
	o := &Options{
		IO: s.IO, Console: s.Console, Watch: true, Output: ui.Text,
		Practice: func() (Checker, error) { return fake{rep: rep, rounds: [][]practice.Change{first, second}}, nil },
	}
	if got := code(run(t.Context(), o)); got != clierr.CodeCheck {
		t.Errorf("exit code %d", got)
	}
	s.WantOut(t, "watch.txt")
}

func TestCodes(t *testing.T) {
	t.Parallel()
	tests := map[int][]check.Status{
		clierr.CodeOK:     {check.StatusPass, check.StatusSkipped},
		clierr.CodeFailed: {check.StatusPass, check.StatusError},
		clierr.CodeCheck:  {check.StatusError, check.StatusBlocked},
	}
	for want, statuses := range tests {
		var checks []practice.CheckResult
		for _, s := range statuses {
			checks = append(checks, result("A", "a", s, nil))
		}
		rep := &practice.CheckReport{Tasks: []practice.TaskReport{{Checks: checks}}}
		if got := rep.Code(); got != want {
			t.Errorf("%v: code %d, want %d", statuses, got, want)
		}
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, p := range map[string]func() (Checker, error){
		"no practice": func() (Checker, error) { return nil, broken },
		"no answer":   func() (Checker, error) { return fake{err: broken}, nil },
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
