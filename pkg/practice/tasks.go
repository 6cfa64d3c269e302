package practice

import (
	"context"
	"fmt"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
)

// Overview is where a learner stands in a lab, by the last word on each check.
type Overview struct {
	Tasks []progress.TaskScore  `json:"tasks"`
	Score Score                 `json:"score"`
	Fault *FaultReport          `json:"fault,omitempty"`
	Drill []progress.FaultScore `json:"faults,omitempty"`
	Next  *Next                 `json:"next,omitempty"`
}

// Tasks tells where the learner stands, without running a check.
func (p *Practice) Tasks(ctx context.Context, name string, flags engine.Target) (*Overview, error) {
	s, err := p.deps.Engine.Join(ctx, name, flags)
	if err != nil {
		return nil, err
	}
	store, err := progress.Open(p.deps.State, s.Name, s.Installation, p.deps.Now)
	if err != nil {
		return nil, err
	}
	return overview(s.Lab, store.Record()), nil
}

func overview(l *lab.Lab, r progress.Record) *Overview {
	s := progress.Score(l, r, nil)
	o := &Overview{Tasks: s.Tasks, Score: scoreOf(s), Drill: s.Faults, Next: next(l, s, r)}
	if d := r.OpenFault(); d != nil {
		if f, ok := l.Fault(d.ID); ok {
			o.Fault = faultReport(f, *d)
		}
	}
	return o
}

// Current gives the task that the learner is at: the first one that does not
// stand, and none when all do.
func Current(l *lab.Lab, r progress.Record) (*lab.Task, bool) {
	for i, t := range progress.Score(l, r, nil).Tasks {
		if !t.Passed || t.Regressed {
			return &l.Tasks[i], true
		}
	}
	return nil, false
}

// Next is what to do now.
type Next struct {
	Command string `json:"command"`
	Text    string `json:"text"`
}

// next says what to do now.
func next(l *lab.Lab, s progress.Summary, r progress.Record) *Next {
	name := l.Metadata.Name
	if r.OpenFault() != nil {
		return &Next{"labctl check " + name, "tells when the fault is repaired; labctl hint " + name + " --fault helps to find it"}
	}
	for i, t := range s.Tasks {
		switch {
		case t.Regressed:
			return &Next{"labctl check " + name + " " + t.ID, fmt.Sprintf("%q passed before and does not now", t.Title)}
		case t.Passed:
		case t.State == progress.TaskPartial && onlyActiveLeft(&l.Tasks[i], r):
			return &Next{"labctl check " + name + " " + t.ID, fmt.Sprintf("what is left of %q changes the lab for a moment, so it asks first", t.Title)}
		case t.State == progress.TaskPartial || t.HintLevel > 0:
			return &Next{"labctl hint " + name + " " + t.ID, fmt.Sprintf("a hint for %q, if you are stuck", t.Title)}
		default:
			return &Next{"labctl task " + name + " " + t.ID, fmt.Sprintf("what to do for %q, %s", t.Title, points(t.Max))}
		}
	}
	for _, t := range s.Tasks {
		if len(t.Lost) > 0 {
			return &Next{"labctl check " + name + " " + t.ID, fmt.Sprintf("%q passes, but not all that passed before", t.Title)}
		}
	}
	for _, f := range s.Faults {
		if !f.Fixed {
			return &Next{"labctl break " + name, fmt.Sprintf("a fault to find and repair, for %d bonus points", progress.FaultPoints)}
		}
	}
	return &Next{"labctl receipt " + name, "a signed record of what you did"}
}

// onlyActiveLeft tells whether all that is missing in a task that is not passed
// are active checks that have not failed yet: no hint helps there.
func onlyActiveLeft(t *lab.Task, r progress.Record) bool {
	for _, c := range t.Checks {
		rec := r.Checks[c.ID]
		if !rec.Passing && (!c.IsActive() || rec.Last != nil && rec.Last.Status == check.StatusFail) {
			return false
		}
	}
	return true
}

// points gives "1 point" or "14 points".
func points(n int) string {
	if n == 1 {
		return "1 point"
	}
	return fmt.Sprintf("%d points", n)
}
