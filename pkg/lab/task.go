package lab

import (
	"slices"
	"time"
)

// Task is one thing that a learner does, and how it is graded.
type Task struct {
	ID    string `yaml:"id"`
	Title string `yaml:"title"`
	// Why says in a sentence why somebody on call would care.
	Why string `yaml:"why"`
	// Brief is the Markdown file with what there is to do.
	Brief string `yaml:"brief"`
	// Names are the objects that the brief names and the checks use, as
	// "Deployment/predictor", "Service/predictor:8080" or "alias/champion".
	Names        []string      `yaml:"names"`
	Checks       []Check       `yaml:"checks"`
	Hints        []Hint        `yaml:"hints"`
	Solution     []Step        `yaml:"solution"`
	NearMisses   []NearMiss    `yaml:"nearMisses"`
	Alternatives []Alternative `yaml:"alternatives"`
}

// Points is what the task's checks are worth together.
func (t *Task) Points() int {
	sum := 0
	for _, c := range t.Checks {
		sum += c.Points
	}
	return sum
}

// Check looks at one outcome. It has exactly one probe of its own, and passes
// when Expect holds for what the probe saw.
type Check struct {
	ID     string `yaml:"id"`
	Points int    `yaml:"points"`
	// Essential says that the task can't be passed without this check. Left out,
	// that is so for the first check of a task only.
	Essential *bool `yaml:"essential"`
	Probe     `yaml:",inline"`
	// With are further, passive probes. Each name is a CEL variable that holds
	// the fields of its probe.
	With map[string]Probe `yaml:"with"`
	// Expect is a CEL expression of type bool.
	Expect string `yaml:"expect"`
	// Values are CEL expressions for messages; "found" and "expected" at least.
	Values map[string]string `yaml:"values"`
	Fail   Fail              `yaml:"fail"`
	// Why is why this outcome matters; left out, it is that of the task.
	Why string `yaml:"why"`
	// Look is where to look next when the check fails: a command of the
	// workbench, or one of labctl.
	Look string `yaml:"look"`
	// Deadline bounds how long a check that fails is tried again while what it
	// looks at still moves; Interval is the time between two tries.
	Deadline time.Duration `yaml:"deadline"`
	Interval time.Duration `yaml:"interval"`
	// StableFor asks that every observation in that span passes.
	StableFor time.Duration `yaml:"stableFor"`
	// Pending is a CEL expression that holds while the lab moves in a way that
	// the engine can't see.
	Pending string `yaml:"pending"`
	// After are checks that must pass first; until then this one is blocked.
	After []string `yaml:"after"`
	// Latch keeps the first pass, because the task's end state is temporary.
	Latch bool `yaml:"latch"`
	// Active says what the check does to the lab and for how long; its presence
	// makes the check active.
	Active string `yaml:"active"`
}

// IsActive tells whether the check perturbs the lab.
func (c *Check) IsActive() bool { return c.Active != "" }

// Fail is what a failing check says: the text of the first case that holds.
// An author may write a single text instead of a list.
type Fail []FailCase

// FailCase is one way in which a check fails. When is a CEL expression; the
// last case has none. Text may hold {name} of the check's values, and {where}.
type FailCase struct {
	When string `yaml:"when"`
	// NearMiss names the mistake that the case recognises.
	NearMiss string `yaml:"nearMiss"`
	Text     string `yaml:"text"`
}

// Hint is a step of the ladder from a direction (1) to nearly the solution (3).
type Hint struct {
	Level int `yaml:"level"`
	// When is the id of a check that fails now, or of a near-miss that a check
	// recognised; the first hint of a level whose When holds is shown.
	When string `yaml:"when"`
	Text string `yaml:"text"`
}

// Bases of near-misses: the lab solved up to the task before, or to the end.
const (
	BaseBefore = "before"
	BaseSolved = "solved"
)

// NearMiss is a plausible wrong solution, and the checks that must see it.
type NearMiss struct {
	ID    string `yaml:"id"`
	Title string `yaml:"title"`
	Base  string `yaml:"base"`
	Steps []Step `yaml:"steps"`
	// MustFail are the checks that must fail; all others keep their result,
	// unless MayFail lists them.
	MustFail []string `yaml:"mustFail"`
	MayFail  []string `yaml:"mayFail"`
	// Undo leads back to the base. Without it the task's solution does.
	Undo []Step `yaml:"undo"`
}

// Alternative is another right solution: every check of its task must pass.
type Alternative struct {
	ID    string `yaml:"id"`
	Title string `yaml:"title"`
	Steps []Step `yaml:"steps"`
	// Undo leads back to the lab before the task.
	Undo []Step `yaml:"undo"`
}

// Fault breaks a solved lab in a way that a learner finds and repairs.
type Fault struct {
	ID    string `yaml:"id"`
	Title string `yaml:"title"`
	// Story is what the pager says.
	Story string `yaml:"story"`
	// Symptoms are what can be observed.
	Symptoms []string `yaml:"symptoms"`
	Inject   []Step   `yaml:"inject"`
	// Fails must fail while the fault is in, MayFail may, MustPass must go on
	// passing; nothing else changes.
	Fails    []string `yaml:"fails"`
	MayFail  []string `yaml:"mayFail"`
	MustPass []string `yaml:"mustPass"`
	Hints    []Hint   `yaml:"hints"`
	Fix      []Step   `yaml:"fix"`
	// Cause is the root cause in a sentence, told once the fault is repaired.
	Cause string `yaml:"cause"`
}

// Question is one of an interview about the lab's topics, with what a good
// answer has in it.
type Question struct {
	Topic    string   `yaml:"topic"`
	Question string   `yaml:"question"`
	Points   []string `yaml:"points"`
}

// Task gives the task of that id.
func (l *Lab) Task(id string) (*Task, bool) {
	i := slices.IndexFunc(l.Tasks, func(t Task) bool { return t.ID == id })
	if i < 0 {
		return nil, false
	}
	return &l.Tasks[i], true
}

// Fault gives the fault of that id.
func (l *Lab) Fault(id string) (*Fault, bool) {
	i := slices.IndexFunc(l.Faults, func(f Fault) bool { return f.ID == id })
	if i < 0 {
		return nil, false
	}
	return &l.Faults[i], true
}

// Check gives the check of that id and its task.
func (l *Lab) Check(id string) (*Task, *Check, bool) {
	for i := range l.Tasks {
		for j := range l.Tasks[i].Checks {
			if l.Tasks[i].Checks[j].ID == id {
				return &l.Tasks[i], &l.Tasks[i].Checks[j], true
			}
		}
	}
	return nil, nil, false
}

// Points is what all checks of the lab are worth together.
func (l *Lab) Points() int {
	sum := 0
	for i := range l.Tasks {
		sum += l.Tasks[i].Points()
	}
	return sum
}

// IsEssential tells whether a task can't be passed without the check of that
// index: by default that is its first one.
func (t *Task) IsEssential(check int) bool {
	if e := t.Checks[check].Essential; e != nil {
		return *e
	}
	return check == 0
}
