package smoke

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/ui"
)

// toy is a lab of switches: steps turn them, and each check looks at one.
type toy struct {
	lab *lab.Lab
	on  map[string]bool
	// rigged changes what a check says.
	rigged map[string]func(check.Result) check.Result
	// broken is a step that fails.
	broken string
	// closed says what is wrong with an endpoint.
	closed map[string]string
	resets int
	errs   int // how many answers to come are errors of the grader
}

func newToy() *toy {
	return &toy{lab: toyLab(), on: map[string]bool{}, rigged: map[string]func(check.Result) check.Result{}}
}

func toyLab() *lab.Lab {
	return &lab.Lab{
		Metadata:  lab.Metadata{Name: "toy"},
		Endpoints: []lab.Endpoint{{Name: "page"}, {Name: "console"}},
		Tasks: []lab.Task{
			{
				ID: "a", Solution: exec("on", "a"), Checks: []lab.Check{{ID: "TO1a"}},
				NearMisses:   []lab.NearMiss{{ID: "wrong", Base: lab.BaseBefore, Steps: exec("on", "x"), Undo: exec("off", "x"), MustFail: []string{"TO1a"}}},
				Alternatives: []lab.Alternative{{ID: "way", Steps: exec("on", "a"), Undo: exec("off", "a")}},
			},
			{ID: "b", Solution: exec("on", "b"), Checks: []lab.Check{{ID: "TO2b", After: []string{"TO1a"}}, {ID: "TO2c", Active: "moves"}}},
		},
		Faults: []lab.Fault{{ID: "dark", Inject: exec("off", "b"), Fix: exec("on", "b"), Fails: []string{"TO2b", "TO2c"}, MustPass: []string{"TO1a"}}},
	}
}

// switches are what the checks look at.
func switchOf(id string) string { return map[string]string{"TO1a": "a", "TO2b": "b", "TO2c": "b"}[id] }

func (t *toy) Steps(_ context.Context, steps []lab.Step, _ func(string)) error {
	for _, s := range steps {
		if strings.Join(s.Exec.Argv, " ") == t.broken {
			return errors.New("broken")
		}
		t.on[s.Exec.Argv[1]] = s.Exec.Argv[0] == "on"
	}
	return nil
}

func (t *toy) Reset(context.Context) error {
	t.resets++
	clear(t.on)
	return nil
}

func (t *toy) Opens(_ context.Context, e lab.Endpoint) (string, error) { return t.closed[e.Name], nil }

func (t *toy) Check(_ context.Context, r check.Request) ([]check.Result, error) {
	var list []check.Result
	status := map[string]check.Status{}
	for _, task := range t.lab.Tasks {
		for _, c := range task.Checks {
			res := t.look(task.ID, &c, r, status)
			status[c.ID] = res.Status
			if len(r.Checks) == 0 || slices.Contains(r.Checks, c.ID) {
				list = append(list, res)
			}
		}
	}
	return list, nil
}

func (t *toy) look(task string, c *lab.Check, r check.Request, status map[string]check.Status) check.Result {
	res := check.Result{ID: c.ID, Task: task, Active: c.IsActive()}
	on := t.on[switchOf(c.ID)]
	switch {
	case c.IsActive() && !r.Only[c.ID]:
		res.Status = check.StatusSkipped
		return res
	case len(c.After) > 0 && status[c.After[0]] != check.StatusPass:
		res.Status = check.StatusBlocked
		return res
	case t.errs > 0:
		t.errs--
		res.Status = check.StatusError
		return res
	case on:
		res.Status = check.StatusPass
	default:
		res.Status = check.StatusFail
	}
	res.Evidence = map[string]map[string]any{"": {"on": on}}
	if f := t.rigged[c.ID]; f != nil {
		res = f(res)
	}
	return res
}

// always judges with an expectation that is always true.
type always struct{}

func (always) Judge(c *lab.Check, _ map[string]map[string]any) check.Result {
	return check.Result{ID: c.ID, Status: check.StatusPass}
}

func prove(t *testing.T, b *toy) *Proof {
	t.Helper()
	p, err := Prove(t.Context(), b.lab, b, always{}, Selection{}, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// problems lists what a proof found, as "state check".
func problems(p *Proof) []string {
	var list []string
	for _, s := range p.States {
		if s.Problem != "" {
			list = append(list, s.Name)
		}
		for _, c := range s.Cases {
			if !c.OK {
				list = append(list, s.Name+" "+c.Check)
			}
		}
	}
	return list
}

func TestProveSoundLab(t *testing.T) {
	t.Parallel()
	b := newToy()
	p := prove(t, b)
	if !p.OK || len(p.Survivors) > 0 {
		t.Fatalf("not sound: %v, survivors %v", problems(p), p.Survivors)
	}
	if b.resets != 2 {
		t.Errorf("%d resets, want one at the beginning and one at the end", b.resets)
	}
	var names []string
	for _, s := range p.States {
		names = append(names, s.Name)
	}
	want := "fresh near-miss/wrong alternative/way solved/a solved/b solved-twice/a solved-twice/b fault/dark fixed/dark reset mutation"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("states %s\nwant   %s", got, want)
	}
}

// TestProveUnsoundLab breaks the lab in one way after the other: each must be
// seen, and where it is.
func TestProveUnsoundLab(t *testing.T) {
	t.Parallel()
	passes := func(r check.Result) check.Result { r.Status = check.StatusPass; return r }
	fails := func(r check.Result) check.Result { r.Status = check.StatusFail; return r }
	tests := map[string]struct {
		spoil func(*toy)
		want  string // one of the problems
	}{
		"a check that always passes":   {func(b *toy) { b.rigged["TO1a"] = passes }, "fresh TO1a"},
		"a check that never passes":    {func(b *toy) { b.rigged["TO2b"] = fails }, "solved/b TO2b"},
		"a fault that does nothing":    {func(b *toy) { b.lab.Faults[0].Inject = exec("on", "y") }, "fault/dark TO2b"},
		"a fault that does too much":   {func(b *toy) { b.lab.Faults[0].Inject = slices.Concat(exec("off", "b"), exec("off", "a")) }, "fault/dark TO1a"},
		"a fix that fixes nothing":     {func(b *toy) { b.lab.Faults[0].Fix = exec("on", "y") }, "fixed/dark TO2b"},
		"a near-miss that is right":    {func(b *toy) { b.lab.Tasks[0].NearMisses[0].Steps = exec("on", "a") }, "near-miss/wrong TO1a"},
		"no way back from a near-miss": {func(b *toy) { b.lab.Tasks[0].NearMisses[0].Undo = exec("on", "a") }, "near-miss/wrong TO1a"},
		"a way back that breaks something else": {func(b *toy) {
			b.lab.Tasks[1].NearMisses = []lab.NearMiss{{ID: "late", Base: lab.BaseBefore, Steps: exec("on", "x"), Undo: exec("off", "a"), MustFail: []string{"TO2b"}}}
		}, "solved/b TO1a"},
		"an alternative that is wrong": {func(b *toy) { b.lab.Tasks[0].Alternatives[0].Steps = exec("on", "x") }, "alternative/way TO1a"},
		"an alternative on a done task": {func(b *toy) {
			b.lab.Tasks[0].NearMisses[0].Steps, b.lab.Tasks[0].NearMisses[0].Undo = exec("on", "a"), nil
		}, "alternative/way"},
		"a page that does not answer": {func(b *toy) { b.closed = map[string]string{"console": "answers HTTP 404"} }, "solved/b"},
		"a solution that fails":       {func(b *toy) { b.broken = "on b" }, "solved/b"},
		"words for something else": {func(b *toy) {
			b.lab.Tasks[0].Checks[0].Fail = lab.Fail{{When: "false", NearMiss: "wrong", Text: "x"}, {Text: "y"}}
		}, "near-miss/wrong TO1a"},
		"found something else": {func(b *toy) {
			n := 0
			b.rigged["TO1a"] = func(r check.Result) check.Result { n++; r.Found = strings.Repeat("x", n); return r }
		}, "solved-twice/b TO1a"},
		"trouble of the grader": {func(b *toy) {
			b.rigged["TO1a"] = func(r check.Result) check.Result { r.Status = check.StatusError; return r }
		}, "fresh TO1a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newToy()
			tt.spoil(b)
			p := prove(t, b)
			if p.OK || !slices.Contains(problems(p), tt.want) {
				t.Errorf("OK %v, problems %q, want %q among them", p.OK, problems(p), tt.want)
			}
		})
	}
}

// TestPassingTrouble takes one error of the grader for what it is.
func TestPassingTrouble(t *testing.T) {
	t.Parallel()
	b := newToy()
	b.errs = 1
	if p := prove(t, b); !p.OK {
		t.Errorf("not sound: %v", problems(p))
	}
}

// TestSurvivors takes away the states that ask a check to fail by itself; on the
// fresh lab it is blocked.
func TestSurvivors(t *testing.T) {
	t.Parallel()
	b := newToy()
	b.lab.Faults[0].Fails = []string{"TO2c"}
	b.lab.Faults[0].MayFail = []string{"TO2b"}
	no := false
	b.lab.Tasks[1].Checks[0].Essential = &no // else it must fail before its task is done
	p := prove(t, b)
	if p.OK || !slices.Equal(p.Survivors, []string{"TO2b"}) {
		t.Errorf("OK %v, survivors %v", p.OK, p.Survivors)
	}
}

func TestIncompleteProofSaysNothingOfMutants(t *testing.T) {
	t.Parallel()
	b := newToy()
	p, err := Prove(t.Context(), b.lab, b, always{}, Selection{Kinds: []Kind{Fresh, Solved, Mutation}}, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if !p.OK || p.States[len(p.States)-1].Kind == Mutation {
		t.Errorf("OK %v, states %+v", p.OK, p.States)
	}
}

func TestWriteJUnit(t *testing.T) {
	t.Parallel()
	b := newToy()
	b.rigged["TO1a"] = func(r check.Result) check.Result { r.Status = check.StatusPass; return r }
	var out bytes.Buffer
	if err := WriteJUnit(&out, &Report{Labs: []*Proof{prove(t, b)}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<testsuite name="toy"`, `<testcase name="TO1a" classname="toy.fresh"`, `<failure message="must not pass, and passes"`, `"on": false`,
		`classname="toy.reset"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in:\n%s", want, out.String())
		}
	}
}
