package lint

import (
	"fmt"
	"maps"
	"slices"

	"labctl.dev/labctl/pkg/lab"
)

func fieldOf(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// eachCheck visits all checks with their fields.
func eachCheck(l *lab.Lab, visit func(field string, t *lab.Task, c *lab.Check)) {
	for i := range l.Tasks {
		t := &l.Tasks[i]
		for j := range t.Checks {
			visit(fieldOf(fieldOf("tasks", i)+".checks", j), t, &t.Checks[j])
		}
	}
}

// eachStep visits all steps of solutions and drills.
func eachStep(l *lab.Lab, visit func(field string, s lab.Step)) {
	all := func(field string, steps []lab.Step) {
		for i, s := range steps {
			visit(fieldOf(field, i), s)
		}
	}
	for i, t := range l.Tasks {
		at := fieldOf("tasks", i)
		all(at+".solution", t.Solution)
		for j, n := range t.NearMisses {
			all(fieldOf(at+".nearMisses", j)+".steps", n.Steps)
			all(fieldOf(at+".nearMisses", j)+".undo", n.Undo)
		}
		for j, a := range t.Alternatives {
			all(fieldOf(at+".alternatives", j)+".steps", a.Steps)
			all(fieldOf(at+".alternatives", j)+".undo", a.Undo)
		}
	}
	for i, f := range l.Faults {
		all(fieldOf("faults", i)+".inject", f.Inject)
		all(fieldOf("faults", i)+".fix", f.Fix)
	}
}

// probesOf gives the probes of a check by their field.
func probesOf(field string, c *lab.Check) map[string]lab.Probe {
	probes := map[string]lab.Probe{field: c.Probe}
	for name, p := range c.With {
		probes[field+".with."+name] = p
	}
	return probes
}

// eachProbe visits all probes of checks and steps.
func eachProbe(l *lab.Lab, visit func(field string, p lab.Probe)) {
	eachCheck(l, func(field string, _ *lab.Task, c *lab.Check) {
		probes := probesOf(field, c)
		for _, at := range slices.Sorted(maps.Keys(probes)) {
			visit(at, probes[at])
		}
	})
	eachStep(l, func(field string, s lab.Step) {
		if s.Wait != nil {
			visit(field+".wait", s.Wait.Probe)
		}
	})
}
