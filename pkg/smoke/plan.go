// Package smoke proves that a lab is sound: that its checks fail on a fresh
// lab, pass on a solved one, see each plausible mistake and each fault, and
// accept each other right solution.
//
// It runs labs, it does not judge single checks (pkg/check) nor read lab files
// for mistakes that need no cluster (pkg/lint).
package smoke

import (
	"slices"

	"labctl.dev/labctl/pkg/lab"
)

// Kind is a kind of states.
type Kind string

// The kinds of states, in the order of the proof. A lab is walked once: on the
// way up each task is first done wrong (near-misses), then in other right ways
// (alternatives), then as its solution says (solved).
const (
	Fresh       Kind = "fresh"
	NearMiss    Kind = "near-misses"
	Alternative Kind = "alternatives"
	Solved      Kind = "solved"
	Twice       Kind = "twice"
	Fault       Kind = "faults"
	Reset       Kind = "reset"
	Mutation    Kind = "mutation"
)

// Kinds lists the kinds of states.
func Kinds() []Kind {
	return []Kind{Fresh, NearMiss, Alternative, Solved, Twice, Fault, Reset, Mutation}
}

// Selection picks states, by their kinds and by their names; an empty one picks
// all. A fault and its fix are picked together.
type Selection struct {
	Kinds []Kind
	Names []string
}

// Complete tells whether every state is picked.
func (s Selection) Complete() bool {
	return len(s.Kinds)+len(s.Names) == 0 ||
		!slices.ContainsFunc(Kinds(), func(k Kind) bool { return !slices.Contains(s.Kinds, k) })
}

func (s Selection) has(k Kind, name string) bool {
	return s.Complete() || slices.Contains(s.Kinds, k) || slices.Contains(s.Names, name)
}

// walks tells whether any of the states lies behind the solutions.
func (s Selection) walks() bool {
	return s.Complete() || len(s.Names) > 0 ||
		slices.ContainsFunc(s.Kinds, func(k Kind) bool { return k != Fresh && k != Reset })
}

// missing gives a name that no stage of the whole proof has, if there is one,
// and the names that the stages have.
func (s Selection) missing(l *lab.Lab) (name string, known []string) {
	for _, st := range Plan(l, Selection{}) {
		known = append(known, st.Name)
	}
	for _, n := range s.Names {
		if !slices.Contains(known, n) {
			return n, known
		}
	}
	return "", known
}

// Want is what a check must come to in a state.
type Want string

// The demands. In none of them may a check end in an error.
const (
	// Pass and NotPass leave no choice; NotPass takes a blocked check too.
	Pass    Want = "pass"
	NotPass Want = "fail or blocked"
	// Fail asks that the check itself sees the trouble.
	Fail Want = "fail"
	// Keep asks for the result that the check had in the state before.
	Keep Want = "unchanged"
	// Any is for checks that may be touched or not.
	Any Want = "any"
)

// Stage is one state of the lab: how to get there and what must hold.
type Stage struct {
	// Name is the state's, such as "fresh", "solved/pin" or "fault/registry-down".
	Name string
	Kind Kind
	// Reset puts the lab back to the beginning before Steps.
	Reset bool
	Steps []lab.Step
	// Before must hold when Steps begin: an alternative that starts on a task
	// that is done already proves nothing.
	Before map[string]Want
	// Wants has a demand for every check that is looked at.
	Wants map[string]Want
	// Active are the active checks to run.
	Active map[string]bool
	// Recognised is the near-miss that a failing check must name, if any does.
	Recognised string
	// Settles tells that the results are what later stages build on.
	Settles bool
	// SameAs names an earlier state with which the passive checks must agree in
	// what they found.
	SameAs string
	// Again asks that Steps run once more before the checks: repairing what is
	// not broken must do no harm.
	Again bool
	// Back leads back to the state before, and is proven too.
	Back []lab.Step
	// Opens asks that everything which the lab offers to a browser answers.
	Opens bool
}

// Plan gives the stages of a lab's proof that are picked. What they need to be
// reached is done, but not judged.
func Plan(l *lab.Lab, pick Selection) []Stage {
	p := planner{lab: l, pick: pick}
	p.add(Stage{Name: "fresh", Kind: Fresh, Reset: true, Wants: p.all(NotPass), Settles: true})
	for k := range l.Tasks {
		p.task(k)
	}
	p.twice()
	p.onSolved()
	for i := range l.Faults {
		p.fault(&l.Faults[i])
	}
	p.add(Stage{Name: "reset", Kind: Reset, Reset: true, Wants: p.all(NotPass)})
	if len(p.stages) > 0 {
		// Whatever is picked begins where a learner does.
		p.stages[0].Reset = true
	}
	return p.stages
}

type planner struct {
	lab    *lab.Lab
	pick   Selection
	stages []Stage
}

// add takes a stage when it is picked.
func (p *planner) add(s Stage) {
	if p.pick.has(s.Kind, s.Name) {
		p.stages = append(p.stages, s)
	}
}

// task walks one task: from the lab solved up to the task before to the lab
// solved up to this one.
func (p *planner) task(k int) {
	if !p.pick.walks() {
		return
	}
	t := &p.lab.Tasks[k]
	for i := range t.NearMisses {
		if n := &t.NearMisses[i]; n.Base == lab.BaseBefore {
			p.add(p.nearMiss(k, n))
		}
	}
	for i := range t.Alternatives {
		a := &t.Alternatives[i]
		s := Stage{
			Name: "alternative/" + a.ID, Kind: Alternative, Steps: a.Steps, Back: a.Undo,
			Wants: p.all(Keep), Before: map[string]Want{}, Active: p.activeOf(t),
		}
		for j, c := range t.Checks {
			s.Wants[c.ID] = Pass
			if t.IsEssential(j) && !c.IsActive() {
				s.Before[c.ID] = NotPass
			}
		}
		p.later(&s, k)
		p.add(s)
	}
	p.stages = append(p.stages, p.solved(k))
}

// later loosens what is asked of the tasks after k: some of their checks hold
// by themselves before, but no essential one.
func (p *planner) later(s *Stage, k int) {
	for i := k + 1; i < len(p.lab.Tasks); i++ {
		t := &p.lab.Tasks[i]
		for j, c := range t.Checks {
			s.Wants[c.ID] = Any
			if t.IsEssential(j) {
				s.Wants[c.ID] = NotPass
			}
		}
	}
}

// solved is the lab with its first tasks done. Without the states of that kind
// the solutions still run, and nothing is asked of them but to work.
func (p *planner) solved(k int) Stage {
	t := &p.lab.Tasks[k]
	last := k == len(p.lab.Tasks)-1
	s := Stage{
		Name: "solved/" + t.ID, Kind: Solved, Steps: t.Solution, Settles: true,
		Wants: p.all(Pass), Active: p.activeOf(t),
	}
	p.later(&s, k)
	if last {
		// A latched check has proven the end of its own task; running it again
		// would leave the end of the lab.
		s.Active = p.active(func(c *lab.Check) bool {
			return !c.Latch || slices.ContainsFunc(t.Checks, func(o lab.Check) bool { return o.ID == c.ID })
		})
		s.Opens = true
	}
	if !p.pick.has(Solved, s.Name) {
		for id := range s.Wants {
			s.Wants[id] = Any
		}
		s.Opens = false
		// Active checks that latch are how a later state gets its pass.
		s.Active = p.active(func(c *lab.Check) bool { return s.Active[c.ID] && c.Latch })
	}
	return s
}

// twice runs every solution again on the solved lab.
func (p *planner) twice() {
	for k := range p.lab.Tasks {
		t := &p.lab.Tasks[k]
		s := Stage{Name: "solved-twice/" + t.ID, Kind: Twice, Steps: t.Solution, Wants: map[string]Want{}, Active: p.active(func(c *lab.Check) bool {
			return c.Latch && slices.ContainsFunc(t.Checks, func(o lab.Check) bool { return o.ID == c.ID })
		})}
		for id := range s.Active {
			s.Wants[id] = Pass
		}
		if k == len(p.lab.Tasks)-1 {
			s.Wants, s.Settles, s.SameAs = p.all(Pass), true, "solved/"+t.ID
			s.Active = p.active(func(c *lab.Check) bool { return !c.Latch })
		}
		p.add(s)
	}
}

func (p *planner) nearMiss(k int, n *lab.NearMiss) Stage {
	t := &p.lab.Tasks[k]
	s := Stage{
		Name: "near-miss/" + n.ID, Kind: NearMiss, Steps: n.Steps, Back: n.Undo,
		Wants: p.all(Keep), Active: p.listed(n.MustFail), Recognised: recognised(p.lab, n),
	}
	if n.Base == lab.BaseBefore {
		// The wrong way may do part of the task, and of tasks to come.
		for _, c := range t.Checks {
			s.Wants[c.ID] = Any
		}
		p.later(&s, k)
	}
	mark(s.Wants, n.MayFail, Any)
	mark(s.Wants, n.MustFail, Fail)
	return s
}

// recognised gives the near-miss's id when one of the checks that must fail
// has words for it.
func recognised(l *lab.Lab, n *lab.NearMiss) string {
	for _, id := range n.MustFail {
		if _, c, ok := l.Check(id); ok {
			if slices.ContainsFunc(c.Fail, func(f lab.FailCase) bool { return f.NearMiss == n.ID }) {
				return n.ID
			}
		}
	}
	return ""
}

// onSolved adds the mistakes that are made on the solved lab.
func (p *planner) onSolved() {
	for k := range p.lab.Tasks {
		t := &p.lab.Tasks[k]
		for i := range t.NearMisses {
			if n := &t.NearMisses[i]; n.Base == lab.BaseSolved {
				s := p.nearMiss(k, n)
				if len(s.Back) == 0 {
					s.Back = p.solutionsFrom(k)
				}
				p.add(s)
			}
		}
	}
}

// solutionsFrom gives the solutions from a task to the end: they lead from
// anywhere back to the solved lab.
func (p *planner) solutionsFrom(k int) []lab.Step {
	var steps []lab.Step
	for _, t := range p.lab.Tasks[k:] {
		steps = append(steps, t.Solution...)
	}
	return steps
}

func (p *planner) fault(f *lab.Fault) {
	s := Stage{
		Name: "fault/" + f.ID, Kind: Fault, Steps: f.Inject, Wants: p.all(Keep),
		Active: p.listed(slices.Concat(f.Fails, f.MustPass)),
	}
	mark(s.Wants, f.MayFail, Any)
	mark(s.Wants, f.MustPass, Pass)
	mark(s.Wants, f.Fails, Fail)
	fixed := Stage{Name: "fixed/" + f.ID, Kind: Fault, Steps: f.Fix, Again: true, Wants: p.all(Pass)}
	// One without the other proves nothing, or leaves the fault in the lab.
	if p.pick.has(Fault, s.Name) || p.pick.has(Fault, fixed.Name) {
		p.stages = append(p.stages, s, fixed)
	}
}

func mark(wants map[string]Want, ids []string, w Want) {
	for _, id := range ids {
		wants[id] = w
	}
}

// all gives every check the same demand.
func (p *planner) all(w Want) map[string]Want {
	wants := map[string]Want{}
	for _, t := range p.lab.Tasks {
		for _, c := range t.Checks {
			wants[c.ID] = w
		}
	}
	return wants
}

func (p *planner) active(pick func(*lab.Check) bool) map[string]bool {
	ids := map[string]bool{}
	for i := range p.lab.Tasks {
		for j := range p.lab.Tasks[i].Checks {
			if c := &p.lab.Tasks[i].Checks[j]; c.IsActive() && pick(c) {
				ids[c.ID] = true
			}
		}
	}
	return ids
}

func (p *planner) activeOf(t *lab.Task) map[string]bool {
	return p.active(func(c *lab.Check) bool {
		return slices.ContainsFunc(t.Checks, func(o lab.Check) bool { return o.ID == c.ID })
	})
}

func (p *planner) listed(ids []string) map[string]bool {
	return p.active(func(c *lab.Check) bool { return slices.Contains(ids, c.ID) })
}
