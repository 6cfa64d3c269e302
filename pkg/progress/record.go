// Package progress is a learner's history of a lab: what passed and when, which
// hints were opened, which tasks labctl solved, which faults were drilled. It
// keeps that history in the state directory and scores it.
//
// It is not for running checks, nor for what stands on a screen: scoring is a
// pure function of a lab, a record and results.
package progress

import (
	"maps"
	"slices"
	"time"

	"labctl.dev/labctl/pkg/check"
)

// Record is the history of one installation of a lab. A lab that is brought up
// anew, or reset, is another installation and begins another record.
type Record struct {
	Lab          string    `json:"lab"`
	Installation string    `json:"installation"`
	Started      time.Time `json:"started"`
	Updated      time.Time `json:"updated"`
	// ActiveSeconds is the time in which the learner worked: pauses longer than
	// idleAfter between two commands do not count.
	ActiveSeconds float64 `json:"activeSeconds"`
	// Checks is by the check's id, Tasks by the task's.
	Checks map[string]CheckRecord `json:"checks,omitempty"`
	Tasks  map[string]TaskRecord  `json:"tasks,omitempty"`
	Hints  []HintOpened           `json:"hints,omitempty"`
	// Solved tells when labctl solved a task.
	Solved map[string]time.Time `json:"solved,omitempty"`
	// Faults are the drills, the oldest first. A fault may be drilled again.
	Faults []FaultDrill `json:"faults,omitempty"`
}

// TaskRecord is the best that a task came to.
type TaskRecord struct {
	// Best is the most check points the task had at one time, not counting what
	// labctl solved.
	Best int `json:"best"`
	// Passed is when the task first passed by the learner's work.
	Passed time.Time `json:"passed,omitzero"`
}

// HintOpened is a hint that the learner read.
type HintOpened struct {
	// Task is the task's id; empty for a hint of a fault.
	Task  string    `json:"task,omitempty"`
	Level int       `json:"level"`
	When  string    `json:"when,omitempty"`
	At    time.Time `json:"at"`
	// Price is what was said before the hint opened, in points.
	Price int `json:"price"`
}

// FaultDrill is one round of break and repair.
type FaultDrill struct {
	ID       string    `json:"id"`
	Injected time.Time `json:"injected"`
	// Partial tells that its steps have not all run: such a fault is taken out,
	// and never counts as repaired.
	Partial bool `json:"partial,omitempty"`
	// Detected is when a check first failed because of it.
	Detected time.Time `json:"detected,omitzero"`
	// Fixed is when every check that the fault breaks passed again.
	Fixed time.Time `json:"fixed,omitzero"`
	// Undone is when labctl took the fault out for the learner, which earns
	// nothing.
	Undone time.Time    `json:"undone,omitzero"`
	Hints  []HintOpened `json:"hints,omitempty"`
	// Note tells that the learner wrote down the root cause.
	Note bool `json:"note,omitempty"`
}

// Open tells whether the fault is still in.
func (f FaultDrill) Open() bool { return f.Fixed.IsZero() && f.Undone.IsZero() }

// OpenFault gives the drill that is in progress, for reading and changing, and
// nil when there is none. One fault is in at a time.
func (r *Record) OpenFault() *FaultDrill {
	for i := range slices.Backward(r.Faults) {
		if r.Faults[i].Open() {
			return &r.Faults[i]
		}
	}
	return nil
}

// HintLevel is the highest level that was opened for a task.
func (r *Record) HintLevel(task string) int { return level(r.Hints, task) }

// HintLevel is the highest level that was opened in the drill.
func (f FaultDrill) HintLevel() int { return level(f.Hints, "") }

func level(hints []HintOpened, task string) int {
	highest := 0
	for _, h := range hints {
		if h.Task == task {
			highest = max(highest, h.Level)
		}
	}
	return highest
}

// CheckRecord is what is known of one check.
type CheckRecord struct {
	// Passing is the last word on the check: trouble of the grader and a check
	// that did not run leave it as it was.
	Passing bool `json:"passing"`
	// FirstPassed is when it first passed, Seen when it last said pass or fail.
	FirstPassed time.Time `json:"firstPassed,omitzero"`
	Seen        time.Time `json:"seen,omitzero"`
	// Last is the result behind Passing.
	Last *check.Result `json:"last,omitempty"`
	// Latched is the first pass of a check whose task ends in a temporary state.
	Latched *check.Result `json:"latched,omitempty"`
}

// clone copies what scoring changes.
func (r Record) clone() Record {
	r.Checks, r.Tasks = maps.Clone(r.Checks), maps.Clone(r.Tasks)
	return r
}
