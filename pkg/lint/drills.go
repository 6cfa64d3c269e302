package lint

import (
	"slices"

	"labctl.dev/labctl/pkg/lab"
)

// How many drills make a lab's checks trustworthy.
const (
	minNearMisses   = 3
	minAlternatives = 2
	minFaults       = 3
)

// drills looks at near-misses, alternatives and faults.
func (r *run) drills() {
	nearMisses, alternatives := 0, 0
	for i, t := range r.lab.Tasks {
		nearMisses += len(t.NearMisses)
		alternatives += len(t.Alternatives)
		for j, n := range t.NearMisses {
			r.nearMiss(i, fieldOf(fieldOf("tasks", i)+".nearMisses", j), n)
		}
		for j, a := range t.Alternatives {
			// The next one would begin on a task that is done, and prove nothing.
			if j < len(t.Alternatives)-1 && len(a.Undo) == 0 {
				r.add("alternative-undo", Error, fieldOf(fieldOf("tasks", i)+".alternatives", j),
					"needs `undo`, because %s begins where it ends", t.Alternatives[j+1].ID)
			}
		}
	}
	if len(r.lab.Tasks) == 0 {
		return
	}
	r.covered()
	few := func(field, what string, n, least int) {
		if n < least {
			r.add("few-drills", Note, field, "%s: %d so far; %d or more make the lab's checks trustworthy", what, n, least)
		}
	}
	few("tasks", "near-misses", nearMisses, minNearMisses)
	few("tasks", "alternatives", alternatives, minAlternatives)
	few("faults", "faults", len(r.lab.Faults), minFaults)
	for i, f := range r.lab.Faults {
		at := fieldOf("faults", i)
		if f.Cause == "" {
			r.add("fault-untold", Note, at+".cause", "a learner who has repaired it wants to read what it was")
		}
		if len(f.Hints) == 0 {
			r.add("fault-untold", Note, at+".hints", "a learner who is stuck has no hint")
		}
	}
	if len(r.lab.Interview) == 0 {
		r.add("interview-missing", Note, "interview", "the lab asks no question as an interview would")
	}
}

// nearMiss reports checks that fail without it, and those that don't say what
// they see.
func (r *run) nearMiss(task int, field string, n lab.NearMiss) {
	if n.Base == lab.BaseBefore {
		for i, id := range n.MustFail {
			at := slices.IndexFunc(r.lab.Tasks, func(t lab.Task) bool {
				return slices.ContainsFunc(t.Checks, func(c lab.Check) bool { return c.ID == id })
			})
			if at > task {
				r.add("near-miss-idle", Error, fieldOf(field+".mustFail", i),
					"%s belongs to a later task, so it fails in any case; use `base: solved`", id)
			}
		}
	}
	if !r.recognised(n.ID) {
		r.add("near-miss-unnamed", Note, field, "no check recognises it; a `fail` case with `nearMiss: %s` tells the learner what happened", n.ID)
	}
}

// covered reports essential checks that nothing is known to turn red.
func (r *run) covered() {
	var seen []string
	for _, t := range r.lab.Tasks {
		for _, n := range t.NearMisses {
			seen = append(seen, n.MustFail...)
		}
	}
	for _, f := range r.lab.Faults {
		seen = append(seen, f.Fails...)
	}
	for i := range r.lab.Tasks {
		t := &r.lab.Tasks[i]
		for j, c := range t.Checks {
			if t.IsEssential(j) && !slices.Contains(seen, c.ID) {
				r.add("essential-uncovered", Error, fieldOf(fieldOf("tasks", i)+".checks", j),
					"%s is essential, but no near-miss and no fault makes it fail", c.ID)
			}
		}
	}
}
