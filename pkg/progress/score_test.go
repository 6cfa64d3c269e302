package progress_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
)

// day is when everything in these tests happens; after counts minutes from it.
var day = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func after(minutes int) time.Time { return day.Add(time.Duration(minutes) * time.Minute) }

// pinLab has a task of 10 points whose first check is essential (5, 3, 2), one of
// 20 points, and two faults.
func pinLab() *lab.Lab {
	no := false
	return &lab.Lab{
		Metadata: lab.Metadata{Name: "x"},
		Tasks: []lab.Task{
			{ID: "pin", Title: "Pin", Checks: []lab.Check{{ID: "A", Points: 5}, {ID: "B", Points: 3}, {ID: "C", Points: 2, After: []string{"A"}}}},
			{ID: "roll", Title: "Roll", Checks: []lab.Check{{ID: "D", Points: 4, Essential: &no}, {ID: "E", Points: 16, Latch: true}}},
		},
		Faults: []lab.Fault{{ID: "f", Title: "F"}, {ID: "g", Title: "G"}},
	}
}

// results makes results of "A:pass B:fail".
func results(text string) []check.Result {
	l := pinLab()
	var list []check.Result
	for word := range strings.FieldsSeq(text) {
		id, status, _ := strings.Cut(word, ":")
		t, c, _ := l.Check(id)
		r := check.Result{ID: id, Task: t.ID, Status: check.Status(status), Max: c.Points}
		if r.Status == check.StatusPass {
			r.Points = c.Points
		}
		list = append(list, r)
	}
	return list
}

// event changes a record at a minute.
type event struct {
	checked string // results
	hint    string // "pin:2", or "f:3" in the drill that is open
	price   int
	solved  string
	broke   string
	fixed   bool
	undone  bool
	note    bool
}

func play(events []event) progress.Record {
	l := pinLab()
	r := progress.Record{Lab: "x"}
	for i, e := range events {
		at := after(i)
		task, level, _ := strings.Cut(e.hint, ":")
		opened := progress.HintOpened{Task: task, Level: int(0), At: at, Price: e.price}
		if level != "" {
			opened.Level = int(level[0] - '0')
		}
		switch f := r.OpenFault(); {
		case e.checked != "":
			progress.Apply(l, &r, results(e.checked), at)
		case e.hint != "" && f != nil:
			opened.Task = ""
			f.Hints = append(f.Hints, opened)
		case e.hint != "":
			r.Hints = append(r.Hints, opened)
		case e.solved != "":
			if r.Solved == nil {
				r.Solved = map[string]time.Time{}
			}
			r.Solved[e.solved] = at
		case e.broke != "":
			r.Faults = append(r.Faults, progress.FaultDrill{ID: e.broke, Injected: at})
		case e.fixed:
			f.Fixed, f.Note = at, e.note
		case e.undone:
			f.Undone = at
		}
	}
	return r
}

func TestScoreOfTask(t *testing.T) {
	t.Parallel()
	const all = "A:pass B:pass C:pass"
	open := progress.TaskScore{ID: "pin", Title: "Pin", State: progress.TaskOpen, Max: 10, Reachable: 10}
	with := func(change func(*progress.TaskScore)) progress.TaskScore {
		s := open
		change(&s)
		return s
	}
	passed := func(s *progress.TaskScore) {
		s.State, s.Passed, s.Earned, s.Now = progress.TaskPassed, true, 10, 10
	}
	tests := map[string]struct {
		events []event
		want   progress.TaskScore
	}{
		"nothing done": {nil, open},
		"all fail":     {[]event{{checked: "A:fail B:fail C:blocked"}}, open},
		"all pass":     {[]event{{checked: all}}, with(passed)},
		"80 percent with the essential check": {[]event{{checked: "A:pass B:pass C:fail"}}, with(func(s *progress.TaskScore) {
			s.State, s.Passed, s.Earned, s.Now = progress.TaskPassed, true, 8, 8
		})},
		"partial credit": {[]event{{checked: "A:pass B:fail C:pass"}}, with(func(s *progress.TaskScore) {
			s.State, s.Earned, s.Now = progress.TaskPartial, 7, 7
		})},
		"half without the essential check": {[]event{{checked: "A:fail B:pass C:pass"}}, with(func(s *progress.TaskScore) {
			s.State, s.Earned, s.Now = progress.TaskPartial, 5, 5
		})},
		"regressed keeps the best": {[]event{{checked: all}, {checked: "A:fail B:pass C:blocked"}}, with(func(s *progress.TaskScore) {
			s.State, s.Passed, s.Regressed, s.Earned, s.Now, s.Lost = progress.TaskRegressed, true, true, 10, 3, []string{"A", "C"}
		})},
		"lost a check and still green": {[]event{{checked: all}, {checked: "A:pass B:pass C:fail"}}, with(func(s *progress.TaskScore) {
			passed(s)
			s.Now, s.Lost = 8, []string{"C"}
		})},
		"repaired": {[]event{{checked: all}, {checked: "A:fail B:fail C:fail"}, {checked: all}}, with(passed)},
		"best is of one moment": {[]event{{checked: "A:pass B:fail C:fail"}, {checked: "A:fail B:pass C:pass"}}, with(func(s *progress.TaskScore) {
			s.State, s.Earned, s.Now, s.Lost = progress.TaskPartial, 5, 5, []string{"A"}
		})},
		"an error costs nothing":            {[]event{{checked: all}, {checked: "A:error B:error C:error"}}, with(passed)},
		"blocked by an error costs nothing": {[]event{{checked: all}, {checked: "A:error B:pass C:blocked"}}, with(passed)},
		"an error earns nothing": {[]event{{checked: "A:error B:pass C:blocked"}}, with(func(s *progress.TaskScore) {
			s.State, s.Earned, s.Now = progress.TaskPartial, 3, 3
		})},
		"skipped leaves what was": {[]event{{checked: all}, {checked: "A:pass B:skipped C:pass"}}, with(passed)},
		"waiting leaves what was": {[]event{{checked: all}, {checked: "A:waiting"}}, with(passed)},
		"hint 1 is free": {[]event{{hint: "pin:1"}, {checked: all}}, with(func(s *progress.TaskScore) {
			passed(s)
			s.HintLevel = 1
		})},
		"hint 2": {[]event{{hint: "pin:2", price: 1}, {checked: all}}, with(func(s *progress.TaskScore) {
			passed(s)
			s.HintLevel, s.HintCost, s.Earned, s.Reachable = 2, 1, 9, 9
		})},
		"all hints": {[]event{{hint: "pin:2", price: 1}, {hint: "pin:3", price: 2}, {checked: all}}, with(func(s *progress.TaskScore) {
			passed(s)
			s.HintLevel, s.HintCost, s.Earned, s.Reachable = 3, 3, 7, 7
		})},
		"hints before any point": {[]event{{hint: "pin:3", price: 3}}, with(func(s *progress.TaskScore) {
			s.HintLevel, s.HintCost, s.Reachable = 3, 3, 7
		})},
		"hints never go below half of the task": {[]event{{hint: "pin:3", price: 9}, {checked: all}}, with(func(s *progress.TaskScore) {
			passed(s)
			s.HintLevel, s.HintCost, s.Earned, s.Reachable = 3, 9, 5, 5
		})},
		"hints take nothing from less than half": {[]event{{hint: "pin:3", price: 3}, {checked: "A:fail B:pass C:fail"}}, with(func(s *progress.TaskScore) {
			s.State, s.HintLevel, s.HintCost, s.Earned, s.Now, s.Reachable = progress.TaskPartial, 3, 3, 3, 3, 7
		})},
		"a task passes by its checks, whatever the hints cost": {[]event{{hint: "pin:3", price: 3}, {checked: "A:pass B:pass C:fail"}}, with(func(s *progress.TaskScore) {
			s.State, s.Passed, s.HintLevel, s.HintCost, s.Earned, s.Now, s.Reachable = progress.TaskPassed, true, 3, 3, 5, 8, 7
		})},
		"hints of other tasks": {[]event{{hint: "roll:3", price: 4}, {checked: all}}, with(passed)},
		"solved earns nothing": {[]event{{solved: "pin"}, {checked: all}}, with(func(s *progress.TaskScore) {
			s.State, s.Passed, s.Solved, s.Now, s.Reachable = progress.TaskSolved, true, true, 10, 0
		})},
		"solved and not checked since": {[]event{{checked: "A:fail B:pass C:blocked"}, {solved: "pin"}}, with(func(s *progress.TaskScore) {
			s.State, s.Passed, s.Solved, s.Earned, s.Now, s.Reachable = progress.TaskSolved, true, true, 3, 3, 3
		})},
		"solved, and the active check has not run": {[]event{{checked: "A:blocked B:fail C:fail"}, {solved: "pin"}, {checked: "A:skipped B:pass C:pass"}}, with(func(s *progress.TaskScore) {
			s.State, s.Passed, s.Solved, s.Now, s.Reachable = progress.TaskSolved, true, true, 5, 0
		})},
		"solved keeps what was earned": {[]event{{checked: "A:pass B:fail C:fail"}, {solved: "pin"}, {checked: all}}, with(func(s *progress.TaskScore) {
			s.State, s.Passed, s.Solved, s.Earned, s.Now, s.Reachable = progress.TaskSolved, true, true, 5, 10, 5
		})},
		"solved after it was passed": {[]event{{checked: all}, {solved: "pin"}}, with(func(s *progress.TaskScore) {
			passed(s)
			s.Solved = true
		})},
		"solved and broken": {[]event{{solved: "pin"}, {checked: all}, {checked: "A:fail B:pass C:pass"}}, with(func(s *progress.TaskScore) {
			s.State, s.Passed, s.Solved, s.Regressed, s.Now, s.Lost, s.Reachable = progress.TaskRegressed, true, true, true, 5, []string{"A"}, 0
		})},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := progress.Score(pinLab(), play(tt.events), nil).Tasks[0]
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("score (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScoreOfLab(t *testing.T) {
	t.Parallel()
	const all = "A:pass B:pass C:pass D:pass E:pass"
	type score struct {
		Earned, Bonus       int
		Passed, Distinction bool
	}
	fix := func(id string, more ...event) []event {
		return append(append([]event{{broke: id}}, more...), event{fixed: true})
	}
	list := func(parts ...[]event) []event {
		var out []event
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	tests := map[string]struct {
		events []event
		want   score
	}{
		"nothing":     {nil, score{}},
		"all":         {[]event{{checked: all}}, score{Earned: 30, Passed: true}},
		"80 percent":  {[]event{{checked: "A:pass B:pass C:fail D:fail E:pass"}}, score{Earned: 24, Passed: true}},
		"less":        {[]event{{checked: "A:pass B:fail C:pass D:fail E:pass"}}, score{Earned: 23}},
		"hints count": {[]event{{checked: "A:pass B:pass C:fail D:fail E:pass"}, {hint: "roll:2", price: 2}}, score{Earned: 22}},
		"solved":      {[]event{{solved: "roll"}, {checked: all}}, score{Earned: 10}},
		"a fault":     {list([]event{{checked: all}}, fix("f")), score{Earned: 30, Bonus: 10, Passed: true}},
		"faults do not pass a lab": {
			list(fix("f"), fix("g")), score{Bonus: 20},
		},
		"distinction": {list([]event{{checked: all}}, fix("f"), fix("g")), score{Earned: 30, Bonus: 20, Passed: true, Distinction: true}},
		"a fault with hints": {
			fix("f", event{hint: "f:2", price: 1}, event{hint: "f:3", price: 2}), score{Bonus: 7},
		},
		"fault hints never go below half": {fix("f", event{hint: "f:3", price: 9}), score{Bonus: 5}},
		"a note":                          {[]event{{broke: "f"}, {fixed: true, note: true}}, score{Bonus: 12}},
		"undone earns nothing":            {[]event{{broke: "f"}, {undone: true}}, score{}},
		"a fault that is open":            {[]event{{broke: "f"}}, score{}},
		"the best drill counts": {
			list(fix("f", event{hint: "f:3", price: 2}), fix("f"), []event{{broke: "f"}, {undone: true}}), score{Bonus: 10},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := progress.Score(pinLab(), play(tt.events), nil)
			if diff := cmp.Diff(tt.want, score{s.Earned, s.Bonus, s.Passed, s.Distinction}); diff != "" {
				t.Errorf("score (-want +got):\n%s", diff)
			}
			if s.Max != 30 || s.BonusMax != 24 {
				t.Errorf("of %d and %d", s.Max, s.BonusMax)
			}
		})
	}
}

func TestScoreWithResults(t *testing.T) {
	t.Parallel()
	r := play([]event{{checked: "A:pass B:pass C:pass"}})
	before := progress.Score(pinLab(), r, nil)
	got := progress.Score(pinLab(), r, results("A:fail B:pass C:pass"))
	if !got.Tasks[0].Regressed || got.Tasks[0].Earned != 10 {
		t.Errorf("with new results %+v", got.Tasks[0])
	}
	if diff := cmp.Diff(before, progress.Score(pinLab(), r, nil)); diff != "" {
		t.Errorf("scoring changed the record:\n%s", diff)
	}
}

func TestLabWithoutFaultsHasNoDistinction(t *testing.T) {
	t.Parallel()
	l := pinLab()
	l.Faults = nil
	s := progress.Score(l, play([]event{{checked: "A:pass B:pass C:pass D:pass E:pass"}}), nil)
	if !s.Passed || s.Distinction {
		t.Errorf("%+v", s)
	}
}

func TestLatch(t *testing.T) {
	t.Parallel()
	r := play([]event{{checked: "D:pass E:fail"}, {checked: "D:pass E:pass"}, {checked: "D:pass E:fail"}})
	kept := r.Latched()
	if len(kept) != 1 || kept["E"].Status != check.StatusPass {
		t.Errorf("kept %+v", kept)
	}
}

func TestHintPrice(t *testing.T) {
	t.Parallel()
	tests := []struct{ points, level, want int }{
		{10, 1, 0},
		{10, 2, 1},
		{10, 3, 2},
		{14, 2, 1},
		{14, 3, 3},
		{16, 2, 2},
		{8, 2, 1},
		{8, 3, 2},
		{4, 2, 0}, // less than half a point
		{progress.FaultPoints, 3, 2},
	}
	for _, tt := range tests {
		if got := progress.HintPrice(tt.points, tt.level); got != tt.want {
			t.Errorf("hint %d of %d points costs %d, want %d", tt.level, tt.points, got, tt.want)
		}
	}
}

func TestLongFindingsAreCut(t *testing.T) {
	t.Parallel()
	res := results("A:fail")
	res[0].Found = "x" + strings.Repeat("é", 3000)
	res[0].Evidence = map[string]map[string]any{"": {"body": "secret"}}
	r := progress.Record{}
	progress.Apply(pinLab(), &r, res, day)
	last := r.Checks["A"].Last
	if len(last.Found) > 2060 || !strings.HasSuffix(last.Found, "é…") || last.Evidence != nil {
		t.Errorf("kept %d bytes, evidence %v", len(last.Found), last.Evidence)
	}
}

// TestBlockedActiveCheck: a check that perturbs the lab is not run again by
// itself, so what blocked it for a while takes nothing from its pass.
func TestBlockedActiveCheck(t *testing.T) {
	t.Parallel()
	l := &lab.Lab{Metadata: lab.Metadata{Name: "x"}, Tasks: []lab.Task{{ID: "t", Checks: []lab.Check{
		{ID: "A", Points: 5}, {ID: "B", Points: 5, Active: "restarts it", After: []string{"A"}},
	}}}}
	r := progress.Record{Lab: "x"}
	round := func(minute int, a, b check.Status) progress.TaskScore {
		progress.Apply(l, &r, []check.Result{{ID: "A", Task: "t", Status: a}, {ID: "B", Task: "t", Status: b}}, after(minute))
		return progress.Score(l, r, nil).Tasks[0]
	}
	round(0, check.StatusPass, check.StatusPass)
	if s := round(1, check.StatusFail, check.StatusBlocked); !s.Regressed {
		t.Errorf("while A fails: %+v", s)
	}
	if s := round(2, check.StatusPass, check.StatusSkipped); s.Regressed || s.Now != 10 {
		t.Errorf("once A passes again: %+v", s)
	}
	if s := round(3, check.StatusPass, check.StatusFail); !s.Regressed {
		t.Errorf("when B itself fails: %+v", s)
	}
}
