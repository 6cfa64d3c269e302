package practice

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
)

// noteConfigMap is where a learner writes down the root cause of a fault.
const noteConfigMap = "rca"

// settleAfter is how long a fault may take to show. Until then checks that
// pass do not mean that it is repaired.
const settleAfter = 30 * time.Second

// FaultReport is a drill that is in progress, or has just ended.
type FaultReport struct {
	ID string `json:"id"`
	// Title and Cause are told once the fault is repaired.
	Title    string    `json:"title,omitempty"`
	Story    string    `json:"story"`
	Symptoms []string  `json:"symptoms,omitempty"`
	Injected time.Time `json:"injected"`
	Detected time.Time `json:"detected,omitzero"`
	Fixed    time.Time `json:"fixed,omitzero"`
	Cause    string    `json:"cause,omitempty"`
	// Settles is until when the fault may still show, where every check passes
	// and none has seen it yet.
	Settles time.Time `json:"settles,omitzero"`
	// Note tells whether the root cause was written down.
	Note   bool `json:"note"`
	Earned int  `json:"earned"`
}

// settle takes what the checks say into the drill in progress: they see the
// fault, or it is repaired.
func settle(l *lab.Lab, r *progress.Record, results []check.Result, note bool, at time.Time) *FaultReport {
	d := r.OpenFault()
	if d == nil {
		return nil
	}
	f, ok := l.Fault(d.ID)
	if !ok {
		return nil // of another version of the lab
	}
	var settles time.Time
	switch state := shows(f, results); {
	case state == seen && d.Detected.IsZero():
		d.Detected = at
	case d.Partial:
		// Nobody has repaired what did not come in whole.
	case state == gone && (!d.Detected.IsZero() || at.Sub(d.Injected) >= settleAfter):
		d.Fixed, d.Note = at, note
	case state == gone:
		settles = d.Injected.Add(settleAfter)
	}
	rep := faultReport(f, *d)
	rep.Settles = settles
	if !d.Fixed.IsZero() {
		for _, s := range progress.Score(l, *r, nil).Faults {
			if s.ID == f.ID {
				rep.Earned = s.Earned
			}
		}
	}
	return rep
}

func faultReport(f *lab.Fault, d progress.FaultDrill) *FaultReport {
	rep := &FaultReport{
		ID: f.ID, Story: f.Story, Symptoms: f.Symptoms,
		Injected: d.Injected, Detected: d.Detected, Fixed: d.Fixed, Note: d.Note,
	}
	if !d.Fixed.IsZero() {
		rep.Title, rep.Cause = f.Title, f.Cause
	}
	return rep
}

// sight is what the checks say about a fault.
type sight int

const (
	unclear sight = iota // a check that the fault breaks was not run, or has trouble
	seen
	gone
)

// shows tells whether the checks see the fault. Active checks that did not run
// leave the answer to the others.
func shows(f *lab.Fault, results []check.Result) sight {
	answer := unclear
	for _, id := range f.Fails {
		i := slices.IndexFunc(results, func(r check.Result) bool { return r.ID == id })
		if i < 0 {
			return unclear
		}
		switch results[i].Status {
		case check.StatusFail:
			return seen
		case check.StatusPass:
			answer = gone
		case check.StatusSkipped:
		default:
			return unclear
		}
	}
	return answer
}

// hasNote tells whether the learner wrote down a root cause. That it can't be
// read is no trouble: the note is a bonus.
func (p *Practice) hasNote(ctx context.Context, s *session) bool {
	r := s.store.Record()
	d := r.OpenFault()
	if d == nil || s.Client == nil {
		return false
	}
	cm, err := s.Client.Clientset.CoreV1().ConfigMaps(s.Namespace).Get(ctx, noteConfigMap, metav1.GetOptions{})
	if err != nil {
		p.deps.Log.Debug("no root-cause note", "error", err)
		return false
	}
	if !written(cm, d.Injected) {
		return false
	}
	for _, text := range cm.Data {
		if len(strings.Fields(text)) >= 3 { // a sentence, not a placeholder
			return true
		}
	}
	return false
}

// written tells whether somebody wrote to the object since then: the note of an
// earlier fault explains nothing about this one. Kubernetes keeps whole seconds.
func written(o metav1.Object, since time.Time) bool {
	return slices.ContainsFunc(o.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Time != nil && !f.Time.Time.Before(since.Truncate(time.Second))
	})
}
