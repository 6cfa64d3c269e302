package practice

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// BreakOptions say which fault to put in.
type BreakOptions struct {
	Lab   string // empty: the one lab that is up
	Fault string // empty: the first that was not repaired yet
	// Random takes any fault, of those that were not repaired yet if there are.
	Random bool
	// Force takes out a fault that is in first.
	Force bool
	// SolveFirst solves the lab where it is not solved.
	SolveFirst bool
	Target     engine.Target
}

// BreakReport is what the learner gets to know of a fault: what the pager says.
type BreakReport struct {
	Lab      string       `json:"lab"`
	Fault    string       `json:"fault"`
	Story    string       `json:"story"`
	Symptoms []string     `json:"symptoms"`
	Injected time.Time    `json:"injected"`
	Bonus    int          `json:"bonus"`
	Solved   []SolvedTask `json:"solved,omitempty"`
	Next     []Next       `json:"next"`
}

// Break puts a fault into a solved lab.
func (p *Practice) Break(ctx context.Context, o BreakOptions, sink ui.Sink) (*BreakReport, error) {
	s, err := p.join(ctx, o.Lab, o.Target, sink)
	if err != nil {
		return nil, err
	}
	f, err := s.fault(o)
	if err != nil {
		return nil, err
	}
	rec := s.store.Record()
	if d := rec.OpenFault(); d != nil && !o.Force {
		err := faultIsIn(s.Name, *d)
		return nil, clierr.Wrap(err, "break "+s.Name, "")
	}
	rep := &BreakReport{Lab: s.Name, Fault: f.ID, Story: f.Story, Symptoms: slices.Clone(f.Symptoms), Bonus: progress.FaultPoints}
	err = p.deps.Engine.Exclusive(ctx, s.Session, "labctl break "+s.Name, sink, func() error {
		if err := p.takeOut(ctx, s, sink); err != nil {
			return err
		}
		if rep.Solved, err = p.beSolved(ctx, s, f, o.SolveFirst, sink); err != nil {
			return err
		}
		return p.inject(ctx, s, f, rep, sink)
	})
	if err != nil {
		return nil, err
	}
	rep.Next = []Next{
		{"labctl check " + s.Name, "tells what fails, and when the fault is repaired"},
		{"labctl hint " + s.Name + " --fault", "a hint"},
		{"labctl fix " + s.Name, "gives up: takes the fault out and tells the cause"},
	}
	return rep, nil
}

// fault gives the fault that is meant.
func (s *session) fault(o BreakOptions) (*lab.Fault, error) {
	if len(s.Lab.Faults) == 0 {
		return nil, clierr.Usage("", "%s has no faults", s.Name)
	}
	if o.Fault != "" {
		return s.faultByID(o.Fault)
	}
	var open []*lab.Fault
	for _, f := range progress.Score(s.Lab, s.store.Record(), nil).Faults {
		if def, ok := s.Lab.Fault(f.ID); ok && !f.Fixed {
			open = append(open, def)
		}
	}
	if len(open) == 0 {
		for i := range s.Lab.Faults {
			open = append(open, &s.Lab.Faults[i])
		}
	}
	if o.Random {
		return open[rand.IntN(len(open))], nil //nolint:gosec // a drill, not a secret
	}
	return open[0], nil
}

func (s *session) faultByID(id string) (*lab.Fault, error) {
	if f, ok := s.Lab.Fault(id); ok {
		return f, nil
	}
	ids := make([]string, 0, len(s.Lab.Faults))
	for _, f := range s.Lab.Faults {
		ids = append(ids, f.ID)
	}
	return nil, clierr.Usage("its faults: "+strings.Join(ids, ", "), "%s has no fault %q%s", s.Name, id, near.Hint(id, ids))
}

// beSolved makes sure that the lab is in the state in which a fault can be
// told from work that is not done yet.
func (p *Practice) beSolved(ctx context.Context, s *session, f *lab.Fault, solve bool, sink ui.Sink) ([]SolvedTask, error) {
	missing, err := p.missing(ctx, s, f, sink)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	if !solve {
		return nil, &clierr.Error{
			Op: "break " + s.Name, Err: fmt.Errorf("a fault needs a lab that is solved, and %s", failing(missing)), Code: clierr.CodeCheck, ID: "not-solved",
			Hint: fmt.Sprintf("labctl check %s shows what is missing;\nlabctl break %s --solve-first solves it for you: tasks that you have not passed then earn nothing more", s.Name, s.Name),
		}
	}
	all, err := s.upTo("")
	if err != nil {
		return nil, err
	}
	solved, _, err := p.solve(ctx, s, all, sink)
	if err != nil {
		return nil, err
	}
	if missing, err = p.missing(ctx, s, f, sink); err == nil && len(missing) > 0 {
		err = &clierr.Error{
			Op: "break " + s.Name, Err: fmt.Errorf("the lab was solved, but %s", failing(missing)), ID: "not-solved",
			Hint: fmt.Sprintf("labctl check %s tells why; labctl reset %s starts afresh", s.Name, s.Name),
		}
	}
	return solved, err
}

func failing(ids []string) string {
	if len(ids) == 1 {
		return ids[0] + " does not pass"
	}
	return strings.Join(ids, ", ") + " do not pass"
}

// missing runs the checks that change nothing, and gives those that must pass
// before the fault comes in.
func (p *Practice) missing(ctx context.Context, s *session, f *lab.Fault, sink ui.Sink) ([]string, error) {
	results, err := observe(ctx, s, "Checks", check.Request{Latched: latched(s)}, sink)
	if err != nil {
		return nil, err
	}
	if err := s.store.Update(ctx, func(r *progress.Record) error {
		progress.Apply(s.Lab, r, results, p.now())
		return nil
	}); err != nil {
		return nil, err
	}
	var missing []string
	for _, r := range results {
		if r.Status == check.StatusError {
			return nil, &clierr.Error{Op: "check " + s.Name, Err: fmt.Errorf("%s: %s", r.ID, r.Message), Detail: r.Detail, Hint: "labctl status " + s.Name}
		}
		if !r.Passed() && r.Status != check.StatusSkipped && (r.Essential || slices.Contains(f.Fails, r.ID) || slices.Contains(f.MustPass, r.ID)) {
			missing = append(missing, r.ID)
		}
	}
	return missing, nil
}

// inject puts the fault in. It is noted first, so that one which is half in can
// be taken out.
func (p *Practice) inject(ctx context.Context, s *session, f *lab.Fault, rep *BreakReport, sink ui.Sink) error {
	note := func(partial bool) error {
		rep.Injected = p.now()
		return s.store.Update(ctx, func(r *progress.Record) error {
			if d := r.OpenFault(); d != nil && d.ID == f.ID {
				d.Injected, d.Partial = rep.Injected, partial
				return nil
			}
			r.Faults = append(r.Faults, progress.FaultDrill{ID: f.ID, Injected: rep.Injected, Partial: partial})
			return nil
		})
	}
	if err := note(true); err != nil {
		return err
	}
	err := p.steps(ctx, s, job{"break", "Fault", "break " + s.Name, f.Inject}, secret{sink})
	if err != nil {
		hint := fmt.Sprintf("the fault may be half in: labctl fix %s takes it out", s.Name)
		d := clierr.Describe(err)
		return &clierr.Error{Err: err, Hint: hint, Detail: d.Detail, Code: d.Code, ID: d.ID}
	}
	return note(false) // the time counts from now
}

// secret keeps what the steps of a fault do from the learner.
type secret struct{ ui.Sink }

// Emit passes on all but the steps.
func (s secret) Emit(e ui.Event) {
	if e.Kind == ui.StepUpdate {
		e.Text = "breaking something"
	}
	s.Sink.Emit(e)
}

// takeOut takes the fault out that is in, if there is one.
func (p *Practice) takeOut(ctx context.Context, s *session, sink ui.Sink) error {
	rec := s.store.Record()
	d := rec.OpenFault()
	if d == nil {
		return nil
	}
	if f, ok := s.Lab.Fault(d.ID); ok {
		if err := p.steps(ctx, s, job{"fix", "Repair", "fix " + s.Name, f.Fix}, sink); err != nil {
			return err
		}
	}
	return s.store.Update(ctx, func(r *progress.Record) error {
		if d := r.OpenFault(); d != nil {
			d.Undone = p.now()
		}
		return nil
	})
}

// FixOptions say which fault to take out.
type FixOptions struct {
	Lab    string // empty: the one lab that is up
	Fault  string // empty: the one that is in
	Target engine.Target
	// Confirm asks the user; nil when nobody can answer, or need not.
	Confirm func(ctx context.Context, question string) (bool, error)
}

// FixReport tells what was wrong.
type FixReport struct {
	Lab   string `json:"lab"`
	Fault string `json:"fault"`
	Title string `json:"title"`
	Cause string `json:"cause"`
	// WasIn is false where the repair was run without the fault.
	WasIn    bool  `json:"wasIn"`
	Declined bool  `json:"declined,omitempty"`
	Next     *Next `json:"next,omitempty"`
}

// Fix takes a fault out for the learner, and tells its cause.
func (p *Practice) Fix(ctx context.Context, o FixOptions, sink ui.Sink) (*FixReport, error) {
	s, err := p.join(ctx, o.Lab, o.Target, sink)
	if err != nil {
		return nil, err
	}
	rec := s.store.Record()
	d := rec.OpenFault()
	id := o.Fault
	switch {
	case id == "" && d == nil:
		return nil, &clierr.Error{
			Err: fmt.Errorf("no fault is in %s", s.Name), Code: clierr.CodeUsage, ID: "no-fault",
			Hint: fmt.Sprintf("labctl break %s puts one in; labctl reset %s brings back a lab that is broken otherwise", s.Name, s.Name),
		}
	case id == "":
		id = d.ID
	}
	f, err := s.faultByID(id)
	if err != nil {
		return nil, err
	}
	rep := &FixReport{Lab: s.Name, Fault: f.ID, Title: f.Title, WasIn: d != nil && d.ID == f.ID}
	if o.Confirm != nil && rep.WasIn {
		ok, err := o.Confirm(ctx, fmt.Sprintf("This takes the fault out and tells its cause; the drill then earns none of its %d points. Go on?", progress.FaultPoints))
		if err != nil {
			return nil, err
		}
		if !ok {
			return &FixReport{Lab: s.Name, Declined: true}, nil
		}
	}
	err = p.deps.Engine.Exclusive(ctx, s.Session, "labctl fix "+s.Name, sink, func() error {
		if rep.WasIn {
			return p.takeOut(ctx, s, sink)
		}
		return p.steps(ctx, s, job{"fix", "Repair", "fix " + s.Name, f.Fix}, sink)
	})
	if err != nil {
		return nil, err
	}
	rep.Cause = f.Cause
	rep.Next = &Next{"labctl check " + s.Name, "looks whether all of it passes again"}
	return rep, nil
}
