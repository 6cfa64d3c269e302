package smoke

import (
	"slices"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/lab"
)

// Judge turns what a check saw into its result, without looking again.
type Judge interface {
	Judge(c *lab.Check, evidence map[string]map[string]any) check.Result
}

// Record is what one state came to, as far as it is needed to judge it again.
type Record struct {
	Stage   *Stage
	Results []check.Result
	// Before has the statuses in the state that this one builds on.
	Before map[string]check.Status
}

// Survivors gives the checks that could pass whatever they see without the
// proof noticing: the replay of its records, with only that check's
// expectation set to true, holds in every state. mutant judges with that
// expectation.
//
// This is mutation testing (DeMillo, Lipton, Sayward 1978) with one operator:
// a check that can't fail is the mistake that authors of checks make.
func Survivors(l *lab.Lab, mutant Judge, records []Record) []string {
	var alive []string
	for i := range l.Tasks {
		for j := range l.Tasks[i].Checks {
			c := &l.Tasks[i].Checks[j]
			if !slices.ContainsFunc(records, func(r Record) bool { return killed(l, c, mutant, r) }) {
				alive = append(alive, c.ID)
			}
		}
	}
	return alive
}

// killed tells whether a state's proof fails when the check is replaced.
func killed(l *lab.Lab, c *lab.Check, mutant Judge, r Record) bool {
	results := slices.Clone(r.Results)
	at := slices.IndexFunc(results, func(x check.Result) bool { return x.ID == c.ID })
	if at < 0 || results[at].Evidence == nil {
		return false // it did not look: blocked or not run
	}
	was := results[at]
	m := mutant.Judge(c, was.Evidence)
	m.ID, m.Task, m.Evidence = was.ID, was.Task, was.Evidence
	results[at] = m
	stage := *r.Stage
	stage.Recognised = "" // the words of one check say nothing about another
	return failing(verdict(l, &stage, results, r.Before)) && !failing(verdict(l, &stage, r.Results, r.Before))
}

func failing(cases []Case) bool {
	return slices.ContainsFunc(cases, func(c Case) bool { return !c.OK })
}
