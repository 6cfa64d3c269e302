package smoke

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/ui"
)

// Lab is a lab that is up and may be worked on.
type Lab interface {
	// Steps runs the steps of a solution, a mistake or a fault to their end.
	Steps(ctx context.Context, steps []lab.Step, tell func(text string)) error
	Check(ctx context.Context, r check.Request) ([]check.Result, error)
	// Reset puts the lab back to its beginning.
	Reset(ctx context.Context) error
	// Opens asks an endpoint for its page, and gives what is wrong with the
	// answer, or nothing.
	Opens(ctx context.Context, e lab.Endpoint) (problem string, err error)
}

// State is what one state of the proof came to.
type State struct {
	Name    string  `json:"name"`
	Kind    Kind    `json:"kind"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	// Problem says why the state was not reached.
	Problem string `json:"problem,omitempty"`
	Cases   []Case `json:"cases"`
}

// Proof is what the proof of one lab came to.
type Proof struct {
	Lab     string  `json:"lab"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	// Error says why the proof could not be ended.
	Error  string  `json:"error,omitempty"`
	States []State `json:"states"`
	// Survivors are the checks that could pass whatever they see without any
	// state noticing. Only a complete proof can tell.
	Survivors []string `json:"survivors,omitempty"`
}

// prover works through the stages of one lab.
type prover struct {
	lab     *lab.Lab
	bench   Lab
	sink    ui.Sink
	now     func() time.Time
	proof   *Proof
	current map[string]check.Status // of the state that the next one builds on
	latched map[string]check.Result
	found   map[string]map[string]string // state → check → what it found
	records []Record
}

// Prove works through the states that are picked. The error is that of a proof
// that could not be ended; a lab that is not sound is no error but a Proof
// that is not OK. mutant judges with every expectation set to true.
func Prove(ctx context.Context, l *lab.Lab, bench Lab, mutant Judge, pick Selection, sink ui.Sink) (*Proof, error) {
	p := &prover{
		lab: l, bench: bench, sink: sink, now: time.Now, proof: &Proof{Lab: l.Metadata.Name, OK: true, States: []State{}},
		current: map[string]check.Status{}, latched: map[string]check.Result{}, found: map[string]map[string]string{},
	}
	begin := p.now()
	for _, s := range Plan(l, pick) {
		reached, err := p.stage(ctx, &s)
		if err != nil {
			return p.proof, err
		}
		if !reached && s.Settles {
			p.proof.OK = false
			sink.Emit(ui.Event{Kind: ui.Warn, Text: l.Metadata.Name + ": the states after " + s.Name + " were not tried, because they build on it"})
			break
		}
	}
	if p.proof.OK && pick.Complete() {
		// A proof with holes says nothing about what it would have seen.
		p.mutate(mutant)
	}
	p.proof.Seconds = p.now().Sub(begin).Seconds()
	return p.proof, nil
}

// stage leads the lab into a state and judges it. reached is false when its
// steps failed.
func (p *prover) stage(ctx context.Context, s *Stage) (reached bool, err error) {
	st, begin := State{Name: s.Name, Kind: s.Kind, Cases: []Case{}}, p.now()
	id := p.lab.Metadata.Name + "/" + s.Name
	tell := func(text string) { p.sink.Emit(ui.Event{Kind: ui.StepUpdate, Step: id, Text: text}) }
	p.sink.Emit(ui.Event{Kind: ui.StepStart, Step: id, Title: id})
	st.Problem, err = p.enter(ctx, s, tell)
	if err == nil && st.Problem == "" {
		reached = true
		tell("checking")
		err = p.judge(ctx, s, &st)
	}
	if err == nil && reached && s.Opens {
		tell("opening what a browser would")
		err = p.open(ctx, &st)
	}
	if err == nil && len(s.Back) > 0 {
		err = p.back(ctx, s, &st, tell)
	}
	st.Seconds = p.now().Sub(begin).Seconds()
	if err != nil {
		p.sink.Emit(ui.Event{Kind: ui.StepFail, Step: id, Title: id, Text: err.Error(), Elapsed: p.now().Sub(begin)})
		return false, err
	}
	st.OK = st.Problem == "" && !failing(st.Cases)
	p.proof.OK = p.proof.OK && st.OK
	p.proof.States = append(p.proof.States, st)
	e := ui.Event{Kind: ui.StepDone, Step: id, Title: id, Text: fmt.Sprintf("%d checks as they must be", len(st.Cases)), Elapsed: p.now().Sub(begin)}
	if !st.OK {
		e.Kind, e.Text = ui.StepFail, strings.Join(st.problems(), "\n")
	}
	p.sink.Emit(e)
	return reached, nil
}

// problems gives what is wrong with a state, a line each.
func (s *State) problems() []string {
	var lines []string
	if s.Problem != "" {
		lines = append(lines, s.Problem)
	}
	for _, c := range s.Cases {
		if !c.OK {
			lines = append(lines, c.Check+" "+c.Problem)
		}
	}
	return lines
}

// enter leads the lab into a state. The problem says why that did not work;
// the error is kept for the end of the whole proof.
func (p *prover) enter(ctx context.Context, s *Stage, tell func(string)) (problem string, err error) {
	if s.Reset {
		tell("reset")
		if err := p.bench.Reset(ctx); err != nil {
			return "", fmt.Errorf("reset %s: %w", p.lab.Metadata.Name, err)
		}
		clear(p.latched)
		clear(p.current)
	}
	if len(s.Before) > 0 {
		results, err := p.look(ctx, check.Request{Checks: slices.Sorted(maps.Keys(s.Before)), Latched: p.latched})
		if err != nil {
			return "", err
		}
		cases := verdict(p.lab, &Stage{Wants: s.Before}, results, nil)
		if failing(cases) {
			return "the task was done already when this other way began; give the state before it an undo", nil
		}
	}
	return p.steps(ctx, s.Steps, s.Again, tell)
}

// steps runs steps, twice if asked to.
func (p *prover) steps(ctx context.Context, steps []lab.Step, again bool, tell func(string)) (problem string, err error) {
	rounds := 1
	if again {
		rounds = 2
	}
	for range rounds {
		if err := p.bench.Steps(ctx, steps, tell); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return "", cause
			}
			return "its steps failed: " + err.Error(), nil
		}
	}
	return "", nil
}

// judge looks at every check of the state and adds the cases.
func (p *prover) judge(ctx context.Context, s *Stage, st *State) error {
	latched := maps.Clone(p.latched)
	for id := range s.Active {
		delete(latched, id) // it is to be proven anew
	}
	results, err := p.look(ctx, check.Request{Only: s.Active, Latched: latched})
	if err != nil {
		return err
	}
	st.Cases = verdict(p.lab, s, results, p.current)
	p.agree(s, st)
	p.records = append(p.records, Record{Stage: s, Results: results, Before: maps.Clone(p.current)})
	p.remember(s, results)
	return nil
}

// look runs checks. One that ended in an error is run once more: an API server
// may be busy, and the proof is about the lab.
func (p *prover) look(ctx context.Context, r check.Request) ([]check.Result, error) {
	results, err := p.bench.Check(ctx, r)
	if err != nil {
		return nil, err
	}
	var again []string
	for _, res := range results {
		if res.Status == check.StatusError {
			again = append(again, res.ID)
		}
	}
	if len(again) == 0 {
		return results, nil
	}
	r.Checks = again
	second, err := p.bench.Check(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, res := range second {
		if i := slices.IndexFunc(results, func(o check.Result) bool { return o.ID == res.ID }); i >= 0 {
			results[i] = res
		}
	}
	return results, nil
}

// agree holds what the passive checks found against an earlier state.
func (p *prover) agree(s *Stage, st *State) {
	for i := range st.Cases {
		c := &st.Cases[i]
		was, known := p.found[s.SameAs][c.Check]
		if c.OK && known && !c.Result.Active && !c.Result.Latched && was != c.Result.Found {
			c.OK, c.Problem = false, fmt.Sprintf("found %q, and %q in state %s", c.Result.Found, was, s.SameAs)
		}
	}
}

// remember keeps what later states need.
func (p *prover) remember(s *Stage, results []check.Result) {
	found := map[string]string{}
	for _, r := range results {
		found[r.ID] = r.Found
		if !s.Settles {
			continue
		}
		if r.Status != check.StatusSkipped {
			p.current[r.ID] = r.Status
		}
		if _, c, ok := p.lab.Check(r.ID); ok && c.Latch && r.Status == check.StatusPass {
			p.latched[r.ID] = r
		}
	}
	p.found[s.Name] = found
}

// open looks at the lab's endpoints, in the state in which all of them have
// something to show.
func (p *prover) open(ctx context.Context, st *State) error {
	for _, e := range p.lab.Endpoints {
		problem, err := p.bench.Opens(ctx, e)
		if err != nil {
			return err
		}
		if problem != "" {
			st.Problem = strings.TrimPrefix(fmt.Sprintf("%s; endpoint %s %s", st.Problem, e.Name, problem), "; ")
		}
	}
	return nil
}

// back leads out of a state, and proves that the lab is where it was. It looks
// at what the state touched; the next state looks at everything.
func (p *prover) back(ctx context.Context, s *Stage, st *State, tell func(string)) error {
	tell("back to the state before")
	problem, err := p.steps(ctx, s.Back, false, tell)
	if err != nil {
		return err
	}
	if problem != "" {
		st.Problem = strings.TrimPrefix(st.Problem+"; the way back: "+problem, "; ")
		return nil
	}
	keep := &Stage{Wants: map[string]Want{}}
	for _, id := range p.touchedBy(s, st) {
		keep.Wants[id] = Keep
	}
	if len(keep.Wants) == 0 {
		return nil
	}
	results, err := p.look(ctx, check.Request{Checks: slices.Sorted(maps.Keys(keep.Wants)), Latched: p.latched})
	if err != nil {
		return err
	}
	for _, c := range verdict(p.lab, keep, results, p.current) {
		if !c.OK {
			c.Problem = "after the way back " + c.Problem
			st.Cases = append(st.Cases, c)
		}
	}
	return nil
}

// touchedBy gives the checks that a state is about, and those that came out
// otherwise than in the state before, whether they may or not.
func (p *prover) touchedBy(s *Stage, st *State) []string {
	var ids []string
	for id, want := range s.Wants {
		if want != Keep {
			ids = append(ids, id)
		}
	}
	for _, c := range st.Cases {
		was, known := p.current[c.Check]
		if c.Want == Keep && (!known || (was == check.StatusPass) != (c.Status == check.StatusPass)) {
			ids = append(ids, c.Check)
		}
	}
	return ids
}

// mutate adds the state that proves the proof.
func (p *prover) mutate(mutant Judge) {
	begin := p.now()
	p.proof.Survivors = Survivors(p.lab, mutant, p.records)
	st := State{Name: "mutation", Kind: Mutation, OK: len(p.proof.Survivors) == 0, Cases: []Case{}}
	for _, t := range p.lab.Tasks {
		for _, c := range t.Checks {
			k := Case{Check: c.ID, Want: Fail, Status: check.StatusFail, OK: true}
			if slices.Contains(p.proof.Survivors, c.ID) {
				k.OK, k.Status = false, check.StatusPass
				k.Problem = "could pass whatever it sees: no state asks it to fail by itself; add a near-miss or a fault that does"
			}
			st.Cases = append(st.Cases, k)
		}
	}
	st.Seconds = p.now().Sub(begin).Seconds()
	p.proof.OK = p.proof.OK && st.OK
	p.proof.States = append(p.proof.States, st)
	id := p.lab.Metadata.Name + "/mutation"
	e := ui.Event{Kind: ui.StepDone, Step: id, Title: id, Text: fmt.Sprintf("each of %d checks is needed", len(st.Cases))}
	if !st.OK {
		e.Kind, e.Text = ui.StepFail, strings.Join(st.problems(), "\n")
	}
	p.sink.Emit(e)
}
