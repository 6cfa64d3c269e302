package practice

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// statuses gives "X1a:pass X1b:fail" of a report.
func statuses(r *CheckReport) string {
	var words []string
	for _, t := range r.Tasks {
		for _, c := range t.Checks {
			words = append(words, c.ID+":"+string(c.Status))
		}
	}
	return strings.Join(words, " ")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	look := func(o CheckOptions) *CheckReport {
		t.Helper()
		rep, err := p.Check(t.Context(), o, ui.Discard())
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	rep := look(CheckOptions{})
	if got := statuses(rep); got != "X1a:fail X1b:fail X2a:fail X2b:skipped" || rep.Code() != clierr.CodeCheck || rep.Passed {
		t.Errorf("fresh: %s, code %d", got, rep.Code())
	}
	if rep.Next.Command != "labctl task x one" || len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "X2b was not run") {
		t.Errorf("fresh: next %+v, notes %q", rep.Next, rep.Notes)
	}
	w.holds["X1a"] = true
	if rep = look(CheckOptions{Task: "one"}); statuses(rep) != "X1a:pass X1b:fail" || rep.Score.Earned != 4 || rep.Next.Command != "labctl hint x one" {
		t.Errorf("half: %s, %+v, %+v", statuses(rep), rep.Score, rep.Next)
	}
	w.holds["X1b"] = true
	if rep = look(CheckOptions{Task: "one"}); rep.Code() != clierr.CodeOK || !rep.Passed || rep.Score.Earned != 10 {
		t.Errorf("task: %+v", rep)
	}
	// What passed is broken again: X1b is kept, X1a is lost.
	w.holds["X1a"], w.holds["X1b"] = false, false
	rep = look(CheckOptions{Task: "one"})
	if c := rep.Tasks[0].Checks; !c[0].Regressed || !c[1].Passed() || !rep.Tasks[0].Regressed || rep.Score.Earned != 10 {
		t.Errorf("broken: %+v", rep.Tasks[0])
	}
	if rep.Next.Command != "labctl check x one" {
		t.Errorf("broken: next %+v", rep.Next)
	}
}

func TestCheckActive(t *testing.T) {
	t.Parallel()
	const note = "labctl check x --yes"
	var asked []string
	answer := func(yes bool) func(context.Context, string) (bool, error) {
		return func(_ context.Context, q string) (bool, error) { asked = append(asked, q); return yes, nil }
	}
	tests := []struct {
		name    string
		task    string
		o       CheckOptions
		holds   []string
		want    string // of X2b
		asked   int
		note    string
		changes int // times the lock was taken
	}{
		{name: "nobody can answer", holds: []string{"X2a", "X2b"}, want: "skipped", note: note},
		{name: "no", o: CheckOptions{Confirm: answer(false)}, holds: []string{"X2a", "X2b"}, want: "skipped", asked: 1, note: note},
		{name: "yes", o: CheckOptions{Confirm: answer(true)}, holds: []string{"X2a", "X2b"}, want: "pass", asked: 1, changes: 1},
		{name: "too early", o: CheckOptions{Confirm: answer(true)}, holds: []string{"X2b"}, want: "skipped", note: "come first"},
		{name: "the task was named", o: CheckOptions{Task: "two", Confirm: answer(true)}, holds: []string{"X2b"}, want: "pass", asked: 1, changes: 1},
		{name: "without a question", o: CheckOptions{Active: true}, want: "fail", changes: 1},
	}
	for _, tt := range tests { //nolint:paralleltest // one log of questions
		t.Run(tt.name, func(t *testing.T) {
			asked = nil
			p, w := practising(t)
			for _, word := range tt.holds {
				w.holds[word] = true
			}
			rep, err := p.Check(t.Context(), tt.o, ui.Discard())
			if err != nil {
				t.Fatal(err)
			}
			if got := statuses(rep); !strings.HasSuffix(got, "X2b:"+tt.want) {
				t.Errorf("checks %s, want X2b:%s", got, tt.want)
			}
			if len(asked) != tt.asked || tt.asked > 0 && asked[0] != "X2b restarts it. Run it?" {
				t.Errorf("asked %q", asked)
			}
			if notes := strings.Join(rep.Notes, "; "); !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
				t.Errorf("notes %q", notes)
			}
			if len(w.did) != tt.changes {
				t.Errorf("locked for %q", w.did)
			}
		})
	}
}

// TestActiveCheckThatPassedIsNotAskedForAgain: it would cost 40 s each time.
func TestActiveCheckThatPassedIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	w.holds["X2a"], w.holds["X2b"] = true, true
	ask := 0
	o := CheckOptions{Task: "two", Confirm: func(context.Context, string) (bool, error) { ask++; return true, nil }}
	for range 2 {
		rep, err := p.Check(t.Context(), o, ui.Discard())
		if err != nil || rep.Tasks[0].State != progress.TaskPassed || rep.Score.Earned != 10 {
			t.Errorf("%+v, %v", rep, err)
		}
	}
	if ask != 1 {
		t.Errorf("asked %d times", ask)
	}
}

func TestCheckFails(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	for name, tt := range map[string]struct {
		o    CheckOptions
		code int
	}{
		"not up":       {CheckOptions{Lab: "y"}, clierr.CodeFailed},
		"no such task": {CheckOptions{Task: "onee"}, clierr.CodeUsage},
	} {
		if _, err := p.Check(t.Context(), tt.o, ui.Discard()); clierr.Code(err) != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("broken")
	w.holds["X2a"] = true
	o := CheckOptions{Task: "two", Confirm: func(context.Context, string) (bool, error) { return false, broken }}
	if _, err := p.Check(t.Context(), o, ui.Discard()); !errors.Is(err, broken) {
		t.Errorf("a question that fails: %v", err)
	}
	w.lab.Tasks = nil
	if _, err := p.Check(t.Context(), CheckOptions{}, ui.Discard()); clierr.Code(err) != clierr.CodeUsage {
		t.Errorf("no tasks: %v", err)
	}
}

// labsUp is an engine on which these labs are up.
type labsUp struct {
	*world
	names []string
}

func (e labsUp) Status(context.Context, string, engine.Target) (*engine.Status, error) {
	st := &engine.Status{}
	for _, n := range e.names {
		st.Labs = append(st.Labs, engine.LabStatus{Lab: n})
	}
	return st, nil
}

func TestWhichLab(t *testing.T) {
	t.Parallel()
	tests := []struct {
		up   []string
		name string
		want string
		code int
	}{
		{up: []string{"x"}, want: "x"},
		{up: nil, code: clierr.CodeFailed},
		{up: []string{"x", "y"}, code: clierr.CodeUsage},
		{up: []string{"x", "y"}, name: "y", want: "y"},
	}
	for _, tt := range tests {
		p := New(Deps{Engine: labsUp{&world{lab: drillLab()}, tt.up}})
		got, err := p.which(t.Context(), tt.name)
		if got != tt.want || clierr.Code(err) != tt.code {
			t.Errorf("%v, %q: %q, %v", tt.up, tt.name, got, err)
		}
		if err != nil && clierr.Describe(err).Hint == "" {
			t.Errorf("no hint: %v", err)
		}
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	l := drillLab()
	l.Faults[0].Fails = []string{"X1a", "X2b"}
	injected := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	result := func(a, b check.Status) []check.Result {
		return []check.Result{{ID: "X1a", Status: a}, {ID: "X2b", Status: b}}
	}
	seenAt := injected.Add(5 * time.Second)
	tests := map[string]struct {
		results  []check.Result
		detected bool
		after    time.Duration
		want     string // "detected", "fixed" or nothing
	}{
		"a check fails":              {result(check.StatusFail, check.StatusPass), false, time.Second, "detected"},
		"all pass again":             {result(check.StatusPass, check.StatusPass), true, 10 * time.Second, "fixed"},
		"the active one did not run": {result(check.StatusPass, check.StatusSkipped), true, 10 * time.Second, "fixed"},
		"none of them ran":           {result(check.StatusSkipped, check.StatusSkipped), true, 10 * time.Second, ""},
		"trouble of the grader":      {result(check.StatusPass, check.StatusError), true, 10 * time.Second, ""},
		"blocked":                    {result(check.StatusPass, check.StatusBlocked), true, 10 * time.Second, ""},
		"not all were asked for":     {result(check.StatusPass, check.StatusPass)[:1], true, 10 * time.Second, ""},
		"it does not show yet":       {result(check.StatusPass, check.StatusPass), false, 10 * time.Second, ""},
		"repaired without a look":    {result(check.StatusPass, check.StatusPass), false, time.Minute, "fixed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := progress.Record{Faults: []progress.FaultDrill{{ID: "down", Injected: injected}}}
			if tt.detected {
				r.Faults[0].Detected = seenAt
			}
			rep := settle(l, &r, tt.results, true, injected.Add(tt.after))
			got := ""
			switch d := r.Faults[0]; {
			case !d.Fixed.IsZero():
				got = "fixed"
				if rep.Cause == "" || rep.Title == "" || rep.Earned != progress.FaultPoints+progress.NotePoints || !d.Note {
					t.Errorf("report %+v", rep)
				}
			case !d.Detected.IsZero() && !tt.detected:
				got = "detected"
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if got != "fixed" && (rep.Cause != "" || rep.Title != "" || rep.Story == "") {
				t.Errorf("report %+v", rep)
			}
		})
	}
	if rep := settle(l, &progress.Record{}, nil, false, injected); rep != nil {
		t.Errorf("no fault: %+v", rep)
	}
}

func TestWatchTellsChangesOnly(t *testing.T) {
	t.Parallel()
	report := func(words string) *CheckReport {
		rep := &CheckReport{Tasks: []TaskReport{{}}}
		for word := range strings.FieldsSeq(words) {
			id, status, _ := strings.Cut(word, ":")
			rep.Tasks[0].Checks = append(rep.Tasks[0].Checks, CheckResult{Result: check.Result{ID: id, Status: check.Status(status), Message: status}})
		}
		return rep
	}
	var got []string
	var before *CheckReport
	for _, round := range []string{"A:fail B:fail", "A:fail B:fail", "A:pass B:fail", "A:fail B:waiting"} {
		now := report(round)
		var words []string
		for _, c := range compare(before, now) {
			words = append(words, string(c.Was)+">"+c.Check.ID+":"+string(c.Check.Status))
		}
		got, before = append(got, strings.Join(words, " ")), now
	}
	if diff := cmp.Diff([]string{">A:fail >B:fail", "", "fail>A:pass", "pass>A:fail fail>B:waiting"}, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestWatchEndsWithTheLastRound(t *testing.T) {
	t.Parallel()
	p, _ := practising(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	rounds := 0
	rep, err := p.Watch(ctx, CheckOptions{Active: true}, ui.Discard(), func(*CheckReport, []Change) error {
		rounds++
		cancel(clierr.ErrInterrupted)
		return nil
	})
	if err != nil || rep == nil || rounds != 1 {
		t.Fatalf("%+v, %v, %d rounds", rep, err, rounds)
	}
	if got := statuses(rep); !strings.HasSuffix(got, "X2b:skipped") {
		t.Errorf("watching ran an active check: %s", got)
	}
	why := errors.New("cut off")
	ctx, cancel = context.WithCancelCause(t.Context())
	if _, err := p.Watch(ctx, CheckOptions{}, ui.Discard(), func(*CheckReport, []Change) error { cancel(why); return nil }); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	if _, err := p.Watch(t.Context(), CheckOptions{}, ui.Discard(), func(*CheckReport, []Change) error { return why }); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	command := func() string {
		t.Helper()
		v, err := p.Tasks(t.Context(), "x", engine.Target{})
		if err != nil {
			t.Fatal(err)
		}
		return v.Next.Command
	}
	check := func(active bool) {
		t.Helper()
		if _, err := p.Check(t.Context(), CheckOptions{Active: active}, ui.Discard()); err != nil {
			t.Fatal(err)
		}
	}
	got := []string{command()}
	for _, id := range []string{"X1a", "X1b", "X2a"} {
		w.holds[id] = true
	}
	check(false)
	got = append(got, command())
	check(true) // X2b fails
	got = append(got, command())
	w.holds["X2b"] = true
	check(true)
	got = append(got, command())
	w.lab.Faults = nil
	got = append(got, command())
	// A check without which the task passes, too.
	w.lab.Tasks[0].Checks = append(w.lab.Tasks[0].Checks, lab.Check{ID: "X1c", Points: 1})
	for _, holds := range []bool{true, false} {
		w.holds["X1c"] = holds
		check(false)
		got = append(got, command())
	}
	want := []string{
		"labctl task x one", "labctl check x two", "labctl hint x two", "labctl break x", "labctl receipt x", "labctl receipt x", "labctl check x one",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("next (-want +got):\n%s", diff)
	}
	if task, ok := Current(w.lab, record(t, p)); ok {
		t.Errorf("still at %s", task.ID)
	}
	w.lab.Tasks = slices.Insert(w.lab.Tasks, 0, lab.Task{ID: "new", Checks: []lab.Check{{ID: "N", Points: 1}}})
	if task, ok := Current(w.lab, record(t, p)); !ok || task.ID != "new" {
		t.Errorf("at %+v", task)
	}
}

// TestWritten: an old note is no note about this fault.
func TestWritten(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 1, 9, 0, 0, 500, time.UTC)
	object := func(seconds ...int) *metav1.ObjectMeta {
		o := &metav1.ObjectMeta{}
		for _, s := range seconds {
			o.ManagedFields = append(o.ManagedFields, metav1.ManagedFieldsEntry{Time: &metav1.Time{Time: since.Truncate(time.Second).Add(time.Duration(s) * time.Second)}})
		}
		return o
	}
	for name, tt := range map[string]struct {
		o    *metav1.ObjectMeta
		want bool
	}{
		"unknown":       {object(), false},
		"before":        {object(-60, -1), false},
		"same second":   {object(0), true},
		"changed since": {object(-60, 5), true},
	} {
		if got := written(tt.o, since); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestFromHere(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"":                      "",
		"labctl open x mlflow":  "labctl open x mlflow",
		"registry state":        "labctl shell x -- registry state",
		"kubectl get pods -w":   "labctl shell x -- kubectl get pods -w",
		"labctlish --something": "labctl shell x -- labctlish --something",
	} {
		if got := fromHere("x", command); got != want {
			t.Errorf("%q: got %q, want %q", command, got, want)
		}
	}
}
