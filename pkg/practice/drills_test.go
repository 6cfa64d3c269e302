package practice

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/drill"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

// drillLab has two tasks and two faults. Its checks look at the words that its
// steps say: that of a solution puts one in, that of a fault takes it out.
func drillLab() *lab.Lab {
	say := func(words ...string) []lab.Step { return []lab.Step{{Exec: &lab.ExecProbe{Argv: words}}} }
	l := &lab.Lab{
		Metadata: lab.Metadata{Name: "x", Title: "X"},
		Tasks: []lab.Task{
			{ID: "one", Title: "One", Checks: []lab.Check{{ID: "X1a", Points: 4}, {ID: "X1b", Points: 6, Latch: true}}, Solution: say("+X1a", "+X1b")},
			{ID: "two", Title: "Two", Checks: []lab.Check{{ID: "X2a", Points: 5}, {ID: "X2b", Points: 5, Active: "restarts it"}}, Solution: say("-X1b", "+X2a", "+X2b")},
		},
		Faults: []lab.Fault{
			{ID: "down", Title: "It is down", Story: "Are we down?", Symptoms: []string{"503"}, Inject: say("-X1a"), Fails: []string{"X1a"}, Fix: say("+X1a"), Cause: "scaled to nothing"},
			{ID: "slow", Title: "It is slow", Story: "Why slow?", Symptoms: []string{"5s"}, Inject: say("-X2a"), Fails: []string{"X2a"}, MustPass: []string{"X1a"}, Fix: say("+X2a"), Cause: "throttled"},
		},
	}
	return l
}

// world is the lab of a test: an engine, a runner of checks and one of steps.
type world struct {
	lab   *lab.Lab
	holds map[string]bool
	did   []string
	fails string // a word that can't be said
	locks int
}

func (w *world) Join(_ context.Context, name string, t engine.Target) (*engine.Session, error) {
	if name != w.lab.Metadata.Name {
		return nil, errors.New("not up")
	}
	return &engine.Session{Lab: w.lab, Name: name, Namespace: "lab-x", Target: t, Installation: "i"}, nil
}

func (w *world) Exclusive(_ context.Context, _ *engine.Session, command string, _ ui.Sink, f func() error) error {
	if w.locks++; w.locks > 1 {
		return errors.New("the lock is taken twice")
	}
	defer func() { w.locks-- }()
	w.did = append(w.did, command)
	return f()
}

func (w *world) Status(context.Context, string, engine.Target) (*engine.Status, error) {
	return &engine.Status{Labs: []engine.LabStatus{{Lab: w.lab.Metadata.Name}}}, nil
}

// steps runs steps: "+word" and "-word".
type steps struct{ *world }

func (w steps) Run(ctx context.Context, list []lab.Step, onStep func(i, n int, text string)) error {
	for i, s := range list {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		onStep(i+1, len(list), drill.Text(s))
		for _, word := range s.Exec.Argv {
			if word == w.fails {
				return &drill.StepError{Index: i + 1, N: len(list), Text: drill.Text(s), Err: errors.New("exit status 1"), Output: "no such model", Hint: "look at it"}
			}
			w.did = append(w.did, word)
			w.holds[word[1:]] = word[0] == '+'
		}
	}
	return nil
}

// checks runs checks: one passes when its word holds.
type checks struct{ *world }

func (w checks) Run(_ context.Context, r check.Request) ([]check.Result, error) {
	var results []check.Result
	for _, t := range w.lab.Tasks {
		for i, c := range t.Checks {
			res := check.Result{ID: c.ID, Task: t.ID, Max: c.Points, Essential: t.IsEssential(i), Active: c.IsActive(), Status: check.StatusFail, Message: "it does not hold"}
			latched, kept := r.Latched[c.ID]
			switch {
			case len(r.Checks) > 0 && !contains(r.Checks, c.ID):
				continue
			case kept:
				res = latched
			case c.IsActive() && !r.Active && !r.Only[c.ID]:
				res.Status = check.StatusSkipped
			case w.holds[c.ID]:
				res.Status, res.Points, res.Message = check.StatusPass, c.Points, ""
			}
			results = append(results, res)
		}
	}
	return results, nil
}

func contains(list []string, s string) bool {
	return strings.Contains(" "+strings.Join(list, " ")+" ", " "+s+" ")
}

// practising gives the flows on a world whose clock goes on a second at each
// look.
func practising(t *testing.T) (*Practice, *world) {
	t.Helper()
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{lab: drillLab(), holds: map[string]bool{}}
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	return New(Deps{
		Engine: w, State: dir,
		Now:    func() time.Time { now = now.Add(time.Second); return now },
		Runner: func(*engine.Session, check.Exclusive) (Runner, error) { return checks{w}, nil },
		Drills: func(*engine.Session) Stepper { return steps{w} },
	}), w
}

// record reads the history as a later command would.
func record(t *testing.T, p *Practice) progress.Record {
	t.Helper()
	s, err := p.join(t.Context(), "x", engine.Target{}, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	return s.store.Record()
}

func TestSolve(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	// The learner has done the first task.
	w.holds["X1a"], w.holds["X1b"] = true, true
	if _, err := p.Check(t.Context(), CheckOptions{Lab: "x"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	asked := ""
	rep, err := p.Solve(t.Context(), SolveOptions{Confirm: func(_ context.Context, q string) (bool, error) { asked = q; return true, nil }}, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Tasks) != 2 || !rep.Tasks[0].Own || rep.Tasks[1].Own || rep.Next == nil || len(rep.Notes) > 0 {
		t.Errorf("%+v", rep)
	}
	if diff := cmp.Diff([]string{"labctl solve x", "+X1a", "+X1b", "-X1b", "+X2a", "+X2b"}, w.did); diff != "" {
		t.Errorf("did (-want +got):\n%s", diff)
	}
	if !strings.Contains(asked, "2 tasks; one of them you have not passed") {
		t.Errorf("asked %q", asked)
	}
	s := progress.Score(w.lab, record(t, p), nil)
	if s.Earned != 10 || s.Tasks[0].Solved || !s.Tasks[1].Solved {
		t.Errorf("%+v", s)
	}
}

// TestSolveKeepsWhatIsTemporary: a state that the next task ends is seen by its
// check before it goes, and earns nothing.
func TestSolveKeepsWhatIsTemporary(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	if _, err := p.Solve(t.Context(), SolveOptions{Lab: "x"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	rep, err := p.Check(t.Context(), CheckOptions{Lab: "x", Active: true}, ui.Discard())
	if err != nil || !rep.Passed || rep.Score.Earned != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	if w.holds["X1b"] {
		t.Error("the state is still there")
	}
}

func TestSolveUpTo(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	rep, err := p.Solve(t.Context(), SolveOptions{Lab: "x", To: "one"}, ui.Discard())
	if err != nil || len(rep.Tasks) != 1 || w.holds["X2a"] {
		t.Errorf("%+v, %v", rep, err)
	}
	_, err = p.Solve(t.Context(), SolveOptions{Lab: "x", To: "on"}, ui.Discard())
	if d := clierr.Describe(err); d.Code != clierr.CodeUsage || !strings.Contains(d.Hint, "one, two") {
		t.Errorf("%+v", d)
	}
}

func TestSolveDeclined(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	rep, err := p.Solve(t.Context(), SolveOptions{Lab: "x", Confirm: func(context.Context, string) (bool, error) { return false, nil }}, ui.Discard())
	if err != nil || !rep.Declined || len(w.did) > 0 {
		t.Errorf("%+v, %v, %q", rep, err, w.did)
	}
}

func TestSolveFails(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	w.fails = "+X2a"
	_, err := p.Solve(t.Context(), SolveOptions{Lab: "x"}, ui.Discard())
	want := clierr.Report{
		ID: "step-failed", Error: "solve two: step 1 of 1 (run -X1b +X2a +X2b): exit status 1",
		Hint: "look at it", Detail: "no such model", Code: clierr.CodeFailed,
	}
	if diff := cmp.Diff(want, clierr.Describe(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What the half of a solution brings earns nothing either.
	if r := record(t, p); r.Solved["two"].IsZero() {
		t.Errorf("%+v", r)
	}
}

func TestBreak(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	solved := func() {
		for _, word := range []string{"X1a", "X1b", "X2a", "X2b"} {
			w.holds[word] = true
		}
	}
	solved()
	var told []string
	sink := ui.SinkFunc(func(e ui.Event) { told = append(told, e.Text) })
	rep, err := p.Break(t.Context(), BreakOptions{Lab: "x"}, sink)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Fault != "down" || rep.Story != "Are we down?" || len(rep.Symptoms) != 1 || len(rep.Next) != 3 || w.holds["X1a"] {
		t.Errorf("%+v", rep)
	}
	if strings.Contains(strings.Join(told, "\n"), "-X1a") {
		t.Errorf("progress tells what is broken: %q", told)
	}

	_, err = p.Break(t.Context(), BreakOptions{Lab: "x", Fault: "slow"}, ui.Discard())
	if d := clierr.Describe(err); d.ID != "fault-in" || d.Code != clierr.CodeCheck {
		t.Errorf("a second fault: %+v", d)
	}
	_, err = p.Solve(t.Context(), SolveOptions{Lab: "x"}, ui.Discard())
	if d := clierr.Describe(err); d.ID != "fault-in" {
		t.Errorf("solve with a fault: %+v", d)
	}

	rep, err = p.Break(t.Context(), BreakOptions{Lab: "x", Fault: "slow", Force: true}, ui.Discard())
	if err != nil || rep.Fault != "slow" || !w.holds["X1a"] || w.holds["X2a"] {
		t.Errorf("force: %+v, %v", rep, err)
	}
	r := record(t, p)
	if len(r.Faults) != 2 || r.Faults[0].Undone.IsZero() || !r.Faults[1].Open() {
		t.Errorf("%+v", r.Faults)
	}
}

func TestBreakChooses(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	s, err := p.join(t.Context(), "x", engine.Target{}, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	fixed := func(id string) {
		if err := s.store.Update(t.Context(), func(r *progress.Record) error {
			r.Faults = append(r.Faults, progress.FaultDrill{ID: id, Fixed: time.Unix(1, 0)})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	choose := func(o BreakOptions) string {
		f, err := s.fault(o)
		if err != nil {
			return err.Error()
		}
		return f.ID
	}
	if got := choose(BreakOptions{}); got != "down" {
		t.Error(got)
	}
	fixed("down")
	for range 20 {
		if got := choose(BreakOptions{Random: true}); got != "slow" {
			t.Error(got)
		}
	}
	if got := choose(BreakOptions{Fault: "down"}); got != "down" {
		t.Error(got)
	}
	fixed("slow")
	if got := choose(BreakOptions{}); got != "down" {
		t.Error(got)
	}
	if got := choose(BreakOptions{Fault: "slwo"}); !strings.Contains(got, "slow") {
		t.Error(got)
	}
	w.lab.Faults = nil
	if got := choose(BreakOptions{}); got != "x has no faults" {
		t.Error(got)
	}
}

func TestBreakNeedsASolvedLab(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	w.holds["X1a"] = true
	_, err := p.Break(t.Context(), BreakOptions{Lab: "x", Fault: "slow"}, ui.Discard())
	d := clierr.Describe(err)
	if d.ID != "not-solved" || d.Code != clierr.CodeCheck || !strings.Contains(d.Error, "X2a does not pass") || !strings.Contains(d.Hint, "--solve-first") {
		t.Errorf("%+v", d)
	}
	if r := record(t, p); len(r.Faults) > 0 || len(r.Solved) > 0 {
		t.Errorf("%+v", r)
	}
	rep, err := p.Break(t.Context(), BreakOptions{Lab: "x", Fault: "slow", SolveFirst: true}, ui.Discard())
	if err != nil || len(rep.Solved) != 2 || w.holds["X2a"] || !w.holds["X1a"] {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestBreakHalf: a fault that is half in is known, and can be taken out.
func TestBreakHalf(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	w.holds["X1a"], w.holds["X2a"] = true, true
	w.fails = "-X1a"
	_, err := p.Break(t.Context(), BreakOptions{Lab: "x", Fault: "down"}, ui.Discard())
	if d := clierr.Describe(err); !strings.Contains(d.Hint, "labctl fix x") || d.Detail == "" {
		t.Errorf("%+v", d)
	}
	// Nothing fails, however long, and that is nobody's repair.
	w.holds["X1a"] = true
	r := record(t, p)
	results, err := checks{w}.Run(t.Context(), check.Request{})
	if err != nil {
		t.Fatal(err)
	}
	settle(w.lab, &r, results, false, r.Faults[0].Injected.Add(time.Hour))
	if d := r.OpenFault(); d == nil || !d.Partial {
		t.Errorf("%+v", r.Faults)
	}
	rep, err := p.Fix(t.Context(), FixOptions{Lab: "x"}, ui.Discard())
	if err != nil || rep.Fault != "down" || !rep.WasIn {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestFix(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	w.holds["X1a"], w.holds["X2a"] = true, true
	_, err := p.Fix(t.Context(), FixOptions{Lab: "x"}, ui.Discard())
	if d := clierr.Describe(err); d.ID != "no-fault" || d.Hint == "" {
		t.Errorf("%+v", d)
	}
	if _, err := p.Break(t.Context(), BreakOptions{Lab: "x", Fault: "down"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	no := func(context.Context, string) (bool, error) { return false, nil }
	if rep, err := p.Fix(t.Context(), FixOptions{Lab: "x", Confirm: no}, ui.Discard()); err != nil || !rep.Declined || rep.Cause != "" || w.holds["X1a"] {
		t.Errorf("%+v, %v", rep, err)
	}
	rep, err := p.Fix(t.Context(), FixOptions{Lab: "x"}, ui.Discard())
	want := &FixReport{
		Lab: "x", Fault: "down", Title: "It is down", Cause: "scaled to nothing", WasIn: true,
		Next: &Next{"labctl check x", "looks whether all of it passes again"},
	}
	if diff := cmp.Diff(want, rep); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	r := record(t, p)
	if d := r.Faults[0]; d.Undone.IsZero() || !d.Fixed.IsZero() {
		t.Errorf("%+v", d)
	}
	if rep, err := p.Fix(t.Context(), FixOptions{Lab: "x", Fault: "slow"}, ui.Discard()); err != nil || rep.WasIn || rep.Cause == "" {
		t.Errorf("a repair without the fault: %+v, %v", rep, err)
	}
}

func TestDrillsEnd(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	w.holds["X1a"], w.holds["X2a"] = true, true
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("stopped: %w", clierr.ErrInterrupted))
	if _, err := p.Solve(ctx, SolveOptions{Lab: "x"}, ui.Discard()); clierr.Code(err) != clierr.CodeInterrupted {
		t.Error(err)
	}
}
