package progress

import (
	"slices"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/lab"
)

// The rules of scoring.
const (
	// PassPercent of the points pass a task, and a lab.
	PassPercent = 80
	// FaultPoints is the bonus for a fault that the learner repaired, and
	// NotePoints that for writing down the root cause.
	FaultPoints = 10
	NotePoints  = 2
	// floorPercent of the points stay, however many hints are opened.
	floorPercent = 50
)

// hintPercent is what opening a hint of that level costs, as a share of the
// points of its task or fault.
func hintPercent(level int) int {
	switch level {
	case 2:
		return 10
	case 3:
		return 20
	default:
		return 0
	}
}

// HintPrice is what a hint costs for a task or a fault of that many points.
func HintPrice(points, level int) int {
	return (points*hintPercent(level) + 50) / 100
}

// TaskState says in a word where a task stands.
type TaskState string

// The states of a task.
const (
	TaskOpen      TaskState = "open"
	TaskPartial   TaskState = "partial"
	TaskPassed    TaskState = "passed"
	TaskSolved    TaskState = "solved"    // labctl did it
	TaskRegressed TaskState = "regressed" // it was passed or solved, and does not stand any more
)

// Summary is the score of a lab.
type Summary struct {
	Earned int  `json:"earned"`
	Max    int  `json:"max"`
	Passed bool `json:"passed"`
	// Distinction tells that the lab is passed and every fault was repaired.
	Distinction bool         `json:"distinction"`
	Bonus       int          `json:"bonus"`
	BonusMax    int          `json:"bonusMax"`
	Tasks       []TaskScore  `json:"tasks"`
	Faults      []FaultScore `json:"faults,omitempty"`
}

// TaskScore is the score of one task.
type TaskScore struct {
	ID    string    `json:"id"`
	Title string    `json:"title"`
	State TaskState `json:"state"`
	// Earned counts: the best the task came to, less the hints. Now is what its
	// checks say at this moment.
	Earned int `json:"earned"`
	Now    int `json:"now"`
	Max    int `json:"max"`
	// HintCost is the price of the opened hints. Reachable is what the task can
	// still come to.
	HintCost  int  `json:"hintCost"`
	Reachable int  `json:"reachable"`
	HintLevel int  `json:"hintLevel"`
	Passed    bool `json:"passed"`
	Solved    bool `json:"solved"`
	Regressed bool `json:"regressed"`
	// Lost lists checks that passed before and do not now.
	Lost []string `json:"lost,omitempty"`
}

// FaultScore is the best that was earned on one fault.
type FaultScore struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Drills int    `json:"drills"`
	Fixed  bool   `json:"fixed"`
	Open   bool   `json:"open"`
	Earned int    `json:"earned"`
	Max    int    `json:"max"`
}

// Apply takes results into the record: what passes, since when, and the best
// that each task came to.
func Apply(l *lab.Lab, r *Record, results []check.Result, at time.Time) {
	troubled := map[string]bool{}
	for _, res := range results {
		troubled[res.ID] = res.Status == check.StatusError
	}
	for _, res := range results {
		_, def, ok := l.Check(res.ID)
		if !ok {
			continue // of another version of the lab
		}
		if res.Status == check.StatusBlocked && slices.ContainsFunc(def.After, func(id string) bool { return troubled[id] }) {
			continue // blocked by the grader's trouble, not by the learner's work
		}
		if res.Status == check.StatusBlocked && def.IsActive() && r.Checks[res.ID].Passing {
			continue // what blocks it is red already, and nothing would ask an active check again once that is repaired
		}
		r.see(def, res, at)
	}
	for i := range l.Tasks {
		t := &l.Tasks[i]
		if !slices.ContainsFunc(results, func(res check.Result) bool { return res.Task == t.ID }) {
			continue
		}
		rec := r.Tasks[t.ID]
		points, green := standing(t, *r)
		if _, solved := r.Solved[t.ID]; !solved {
			rec.Best = max(rec.Best, points)
			if green && rec.Passed.IsZero() {
				rec.Passed = at
			}
		}
		if rec != (TaskRecord{}) {
			if r.Tasks == nil {
				r.Tasks = map[string]TaskRecord{}
			}
			r.Tasks[t.ID] = rec
		}
	}
}

// see notes one result. Results of checks that did not run, and of a grader in
// trouble, say nothing.
func (r *Record) see(def *lab.Check, res check.Result, at time.Time) {
	passing, known := verdict(res.Status)
	if !known {
		return
	}
	c := r.Checks[res.ID]
	c.Passing, c.Seen = passing, at
	if passing && c.FirstPassed.IsZero() {
		c.FirstPassed = at
	}
	res.Evidence = nil
	res.Found, res.Expected, res.Detail = clip(res.Found), clip(res.Expected), clip(res.Detail)
	c.Last = &res
	if def.Latch && passing && c.Latched == nil {
		first := res
		c.Latched = &first
	}
	if r.Checks == nil {
		r.Checks = map[string]CheckRecord{}
	}
	r.Checks[res.ID] = c
}

// clip keeps the file small where a check found a whole page.
func clip(s string) string {
	const most = 2048
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not inside a character
		cut--
	}
	return s[:cut] + "…"
}

// verdict tells whether a status is a pass, and whether it says anything.
func verdict(s check.Status) (passing, known bool) {
	switch s {
	case check.StatusPass:
		return true, true
	case check.StatusFail, check.StatusBlocked:
		return false, true
	default:
		return false, false
	}
}

// standing sums up the checks of a task by the last word on each.
func standing(t *lab.Task, r Record) (points int, green bool) {
	essential := true
	for i, c := range t.Checks {
		switch {
		case r.Checks[c.ID].Passing:
			points += c.Points
		case t.IsEssential(i):
			essential = false
		}
	}
	return points, essential && enough(points, t.Points())
}

func enough(points, of int) bool { return of > 0 && points*100 >= of*PassPercent }

// Latched gives the first passes that are kept, for the runner.
func (r *Record) Latched() map[string]check.Result {
	kept := map[string]check.Result{}
	for id, c := range r.Checks {
		if c.Latched != nil {
			kept[id] = *c.Latched
		}
	}
	return kept
}

// Score sums a record up. now are results that the record may not hold yet; nil
// takes the last word on each check.
func Score(l *lab.Lab, r Record, now []check.Result) Summary {
	r = r.clone()
	if len(now) > 0 {
		at := r.Updated
		for _, res := range now {
			if res.ObservedAt.After(at) {
				at = res.ObservedAt
			}
		}
		Apply(l, &r, now, at)
	}
	s := Summary{Max: l.Points(), Tasks: make([]TaskScore, 0, len(l.Tasks))}
	for i := range l.Tasks {
		t := scoreTask(&l.Tasks[i], r)
		s.Earned += t.Earned
		s.Tasks = append(s.Tasks, t)
	}
	s.Passed = enough(s.Earned, s.Max)
	fixed := len(l.Faults) > 0
	for i := range l.Faults {
		f := scoreFault(&l.Faults[i], r)
		s.Bonus += f.Earned
		s.BonusMax += f.Max
		fixed = fixed && f.Fixed
		s.Faults = append(s.Faults, f)
	}
	s.Distinction = s.Passed && fixed
	return s
}

func scoreTask(t *lab.Task, r Record) TaskScore {
	rec := r.Tasks[t.ID]
	points, green := standing(t, r)
	s := TaskScore{ID: t.ID, Title: t.Title, Now: points, Max: t.Points(), HintLevel: r.HintLevel(t.ID)}
	_, s.Solved = r.Solved[t.ID]
	s.Passed = !rec.Passed.IsZero() || s.Solved
	s.Regressed = s.Passed && !green && failing(t, r)
	for _, h := range r.Hints {
		if h.Task == t.ID {
			s.HintCost += h.Price
		}
	}
	s.Earned = afterHints(rec.Best, s.Max, s.HintCost)
	s.Reachable = afterHints(s.Max, s.Max, s.HintCost)
	if s.Solved {
		s.Reachable = s.Earned
	}
	for _, c := range t.Checks {
		if k := r.Checks[c.ID]; !k.FirstPassed.IsZero() && !k.Passing {
			s.Lost = append(s.Lost, c.ID)
		}
	}
	switch {
	case s.Regressed:
		s.State = TaskRegressed
	case s.Solved && rec.Passed.IsZero():
		s.State = TaskSolved
	case s.Passed:
		s.State = TaskPassed
	case points > 0 || rec.Best > 0:
		s.State = TaskPartial
	default:
		s.State = TaskOpen
	}
	return s
}

// failing tells whether a check of the task is known not to pass. A task that
// was solved stands as labctl left it: checks that did not run since, such as
// active ones, say nothing against it.
func failing(t *lab.Task, r Record) bool {
	return slices.ContainsFunc(t.Checks, func(c lab.Check) bool {
		k, ok := r.Checks[c.ID]
		return ok && !k.Passing && !k.Seen.Before(r.Solved[t.ID])
	})
}

// afterHints takes the price of hints off. Half of the points stay, or what was
// earned where that is less.
func afterHints(earned, points, cost int) int {
	floor := min(earned, (points*floorPercent+99)/100)
	return max(earned-cost, floor)
}

func scoreFault(f *lab.Fault, r Record) FaultScore {
	s := FaultScore{ID: f.ID, Title: f.Title, Max: FaultPoints + NotePoints}
	for _, d := range r.Faults {
		if d.ID != f.ID {
			continue
		}
		s.Drills++
		s.Open = s.Open || d.Open()
		if d.Fixed.IsZero() || !d.Undone.IsZero() {
			continue
		}
		s.Fixed = true
		cost := 0
		for _, h := range d.Hints {
			cost += h.Price
		}
		earned := afterHints(FaultPoints, FaultPoints, cost)
		if d.Note {
			earned += NotePoints
		}
		s.Earned = max(s.Earned, earned)
	}
	return s
}
