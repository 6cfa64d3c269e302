package practice

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// CheckOptions say what to check, and how.
type CheckOptions struct {
	Lab    string // empty: the one lab that is up
	Task   string // empty: all
	Target engine.Target
	// Active runs active checks without asking.
	Active bool
	// Confirm asks the user; nil when nobody can answer.
	Confirm func(ctx context.Context, question string) (bool, error)
}

// CheckReport is what a check came to.
type CheckReport struct {
	Lab       string `json:"lab"`
	Title     string `json:"title"`
	Namespace string `json:"namespace"`
	Target    string `json:"target"`
	// Tasks are those that were asked for, with their checks.
	Tasks []TaskReport `json:"tasks"`
	// Score is that of the whole lab.
	Score Score `json:"score"`
	// Fault is the drill that is in progress, or has just ended.
	Fault *FaultReport `json:"fault,omitempty"`
	Notes []string     `json:"notes,omitempty"`
	Next  *Next        `json:"next,omitempty"`
	// Passed tells that every check that was asked for and run passes.
	Passed  bool    `json:"passed"`
	Seconds float64 `json:"seconds"`
}

// Score is the score of a lab in one line.
type Score struct {
	Earned      int  `json:"earned"`
	Max         int  `json:"max"`
	Passed      bool `json:"passed"`
	Distinction bool `json:"distinction"`
	Bonus       int  `json:"bonus"`
	BonusMax    int  `json:"bonusMax"`
}

// TaskReport is one task with its checks.
type TaskReport struct {
	progress.TaskScore
	Checks []CheckResult `json:"checks"`
}

// CheckResult is one check, and whether it passed before.
type CheckResult struct {
	check.Result
	Regressed bool `json:"regressed,omitempty"`
}

// Code is the exit code: the grader's trouble alone is not the learner's.
func (r *CheckReport) Code() int {
	code := clierr.CodeOK
	for _, t := range r.Tasks {
		for _, c := range t.Checks {
			switch c.Status {
			case check.StatusFail, check.StatusBlocked, check.StatusWaiting:
				return clierr.CodeCheck
			case check.StatusError:
				code = clierr.CodeFailed
			default:
			}
		}
	}
	return code
}

// Check runs the checks of a lab, or of one task, and keeps what came of it.
func (p *Practice) Check(ctx context.Context, o CheckOptions, sink ui.Sink) (*CheckReport, error) {
	s, err := p.join(ctx, o.Lab, o.Target, sink)
	if err != nil {
		return nil, err
	}
	return p.check(ctx, s, o, false, sink)
}

// check looks at once when noWait is set, for looking again and again.
func (p *Practice) check(ctx context.Context, s *session, o CheckOptions, noWait bool, sink ui.Sink) (*CheckReport, error) {
	started := p.deps.Now()
	tasks, err := s.selected(o.Task)
	if err != nil {
		return nil, err
	}
	req := check.Request{Latched: latched(s), NoWait: noWait}
	if o.Task != "" {
		req.Tasks = []string{o.Task}
	}
	results, notes, err := p.run(ctx, s, o, req, sink)
	if err != nil {
		return nil, err
	}
	before := s.store.Record()
	var fault *FaultReport
	note := p.hasNote(ctx, s)
	err = s.store.Update(ctx, func(r *progress.Record) error {
		at := p.deps.Now().UTC().Truncate(time.Second)
		progress.Apply(s.Lab, r, results, at)
		fault = settle(s.Lab, r, results, note, at)
		return nil
	})
	if err != nil {
		return nil, err
	}
	summary := progress.Score(s.Lab, s.store.Record(), nil)
	rep := &CheckReport{
		Lab: s.Name, Title: s.Lab.Metadata.Title, Namespace: s.Namespace, Target: s.Target.String(),
		Tasks: make([]TaskReport, 0, len(tasks)), Score: scoreOf(summary), Fault: fault, Notes: notes,
		Next: next(s.Lab, summary, s.store.Record()), Seconds: p.deps.Now().Sub(started).Seconds(),
	}
	for i, t := range s.Lab.Tasks {
		if slices.ContainsFunc(tasks, func(x *lab.Task) bool { return x.ID == t.ID }) {
			rep.Tasks = append(rep.Tasks, TaskReport{TaskScore: summary.Tasks[i], Checks: checksOf(s.Name, t, results, before)})
		}
	}
	rep.Passed = rep.Code() == clierr.CodeOK
	return rep, nil
}

// selected gives the tasks that are asked for.
func (s *session) selected(id string) ([]*lab.Task, error) {
	if id != "" {
		t, err := s.task(id)
		return []*lab.Task{t}, err
	}
	if len(s.Lab.Tasks) == 0 {
		return nil, UnknownTask(s.Lab, "")
	}
	all := make([]*lab.Task, 0, len(s.Lab.Tasks))
	for i := range s.Lab.Tasks {
		all = append(all, &s.Lab.Tasks[i])
	}
	return all, nil
}

func latched(s *session) map[string]check.Result {
	r := s.store.Record()
	return r.Latched()
}

// checksOf gives the results of a task's own checks.
func checksOf(name string, t lab.Task, results []check.Result, before progress.Record) []CheckResult {
	list := make([]CheckResult, 0, len(t.Checks))
	for _, r := range results {
		if r.Task != t.ID || r.Along {
			continue
		}
		i := slices.IndexFunc(t.Checks, func(c lab.Check) bool { return c.ID == r.ID })
		if i >= 0 && r.Look == t.Checks[i].Look {
			r.Look = fromHere(name, r.Look)
		}
		failed := r.Status == check.StatusFail || r.Status == check.StatusBlocked
		list = append(list, CheckResult{Result: r, Regressed: failed && !before.Checks[r.ID].FirstPassed.IsZero()})
	}
	return list
}

// fromHere writes a command of the workbench as one that can be typed outside.
func fromHere(name, command string) string {
	if command == "" || strings.HasPrefix(command, "labctl ") {
		return command
	}
	return "labctl shell " + name + " -- " + command
}

func scoreOf(s progress.Summary) Score {
	return Score{Earned: s.Earned, Max: s.Max, Passed: s.Passed, Distinction: s.Distinction, Bonus: s.Bonus, BonusMax: s.BonusMax}
}

// run runs the passive checks, and then the active ones that make sense: with
// Active all of them, else those that the user agrees to. Notes say what did
// not run.
func (p *Practice) run(ctx context.Context, s *session, o CheckOptions, req check.Request, sink ui.Sink) (results []check.Result, notes []string, err error) {
	if o.Active {
		req.Active = true
		err = p.deps.Engine.Exclusive(ctx, s.Session, "labctl check "+s.Name, sink, func() error {
			results, err = observe(ctx, s, "Checks", req, sink)
			return err
		})
		return results, nil, err
	}
	results, err = observe(ctx, s, "Checks", req, sink)
	if err != nil || req.NoWait {
		return results, nil, err
	}
	offered, notes := s.offer(o.Task, results)
	if len(offered) == 0 {
		return results, notes, nil
	}
	yes := false
	if o.Confirm != nil {
		if yes, err = o.Confirm(ctx, question(offered)); err != nil {
			return nil, nil, err
		}
	}
	if !yes {
		return results, append(notes, fmt.Sprintf("%s not run; it changes the lab for a moment: labctl check %s --yes", list(ids(offered)), s.Name)), nil
	}
	req.Only = map[string]bool{}
	req.Tasks, req.Checks = nil, ids(offered)
	for _, id := range req.Checks {
		req.Only[id] = true
	}
	var more []check.Result
	err = p.deps.Engine.Exclusive(ctx, s.Session, "labctl check "+s.Name, sink, func() error {
		more, err = observe(ctx, s, "Active checks", req, sink)
		return err
	})
	return merge(results, more), notes, err
}

// offer gives the active checks that are worth running: those whose task passes
// otherwise, or was asked for by name, and that did not pass before.
func (s *session) offer(task string, results []check.Result) (offered []*lab.Check, notes []string) {
	var early, again []string
	for _, r := range results {
		_, c, ok := s.Lab.Check(r.ID)
		if !ok || r.Status != check.StatusSkipped || r.Along {
			continue
		}
		switch {
		case s.store.Record().Checks[r.ID].Passing:
			again = append(again, r.ID)
		case task == "" && !passesOtherwise(r.Task, results):
			early = append(early, r.ID)
		default:
			offered = append(offered, c)
		}
	}
	if len(again) > 0 {
		notes = append(notes, fmt.Sprintf("%s passed before and not run again: labctl check %s --yes does", list(again), s.Name))
	}
	if len(early) > 0 {
		notes = append(notes, fmt.Sprintf("%s not run: the other checks of the task come first", list(early)))
	}
	return offered, notes
}

// passesOtherwise tells whether all checks of a task that ran pass.
func passesOtherwise(task string, results []check.Result) bool {
	return !slices.ContainsFunc(results, func(r check.Result) bool {
		return r.Task == task && r.Status != check.StatusPass && r.Status != check.StatusSkipped
	})
}

// question asks once for all checks: "MR5c promotes and rolls back, about 40 s.
// Run it?"
func question(list []*lab.Check) string {
	var parts []string
	for _, c := range list {
		parts = append(parts, c.ID+" "+strings.TrimRight(c.Active, "."))
	}
	it := "it"
	if len(list) > 1 {
		it = "them"
	}
	return strings.Join(parts, "; ") + ". Run " + it + "?"
}

func ids(list []*lab.Check) []string {
	out := make([]string, 0, len(list))
	for _, c := range list {
		out = append(out, c.ID)
	}
	return out
}

// list gives "MR4c was", or "MR4c and MR5c were".
func list(names []string) string {
	if len(names) == 1 {
		return names[0] + " was"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " were"
}

// merge puts newer results in the place of older ones.
func merge(results, newer []check.Result) []check.Result {
	out := slices.Clone(results)
	for _, n := range newer {
		if i := slices.IndexFunc(out, func(r check.Result) bool { return r.ID == n.ID }); i >= 0 && !n.Along {
			out[i] = n
		}
	}
	return out
}

// observe runs checks and tells how far they are.
func observe(ctx context.Context, s *session, title string, req check.Request, sink ui.Sink) ([]check.Result, error) {
	const step = "checks"
	started := time.Now()
	row := func(r check.Result, state ui.RowState, text string) {
		sink.Emit(ui.Event{Kind: ui.Row, Step: step, Item: r.ID, State: state, Text: text})
	}
	req.OnWaiting = func(r check.Result) { row(r, ui.Working, r.Message) }
	req.OnResult = func(r check.Result) {
		switch r.Status {
		case check.StatusPass:
			row(r, ui.Ready, "")
		case check.StatusSkipped:
		default:
			row(r, ui.Failed, string(r.Status))
		}
	}
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: step, Title: title})
	results, err := s.runner.Run(ctx, req)
	if err != nil {
		sink.Emit(ui.Event{Kind: ui.StepFail, Step: step, Title: title, Text: err.Error(), Elapsed: time.Since(started)})
		return nil, clierr.Wrap(err, "check "+s.Name, "")
	}
	ran, passed := 0, 0
	for _, r := range results {
		if r.Status != check.StatusSkipped && !r.Along {
			ran++
		}
		if r.Passed() && !r.Along {
			passed++
		}
	}
	sink.Emit(ui.Event{Kind: ui.StepDone, Step: step, Title: title, Text: fmt.Sprintf("%d of %d pass", passed, ran), Elapsed: time.Since(started)})
	return results, nil
}
