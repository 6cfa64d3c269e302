package practice

import (
	"context"
	"fmt"
	"slices"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// HintOptions say which hint to open.
type HintOptions struct {
	Lab    string // empty: the one lab that is up
	Task   string // empty: the one the learner is at
	Fault  bool   // of the fault in progress, not of a task
	Target engine.Target
	// Paid opens a hint that costs points without asking.
	Paid bool
	// Confirm asks the user; nil when nobody can answer.
	Confirm func(ctx context.Context, question string) (bool, error)
}

// HintReport is the ladder of a task or a fault as far as it is open.
type HintReport struct {
	Lab   string `json:"lab"`
	Task  string `json:"task,omitempty"`
	Fault string `json:"fault,omitempty"`
	Title string `json:"title"`
	Max   int    `json:"max"`
	// Hints are those that were opened, the newest last.
	Hints []Hint `json:"hints"`
	// Opened tells that the last one was opened just now.
	Opened bool `json:"opened"`
	// Passed tells that there is nothing to hint at.
	Passed bool `json:"passed"`
	// Cost is what the opened hints take off together.
	Cost int `json:"cost"`
	// Offer is the next hint, and nil when there is none.
	Offer *HintOffer `json:"offer,omitempty"`
	// Declined tells that the user did not want to pay for the offer.
	Declined bool `json:"declined,omitempty"`
}

// Hint is one hint that was opened.
type Hint struct {
	Level int       `json:"level"`
	When  string    `json:"when,omitempty"`
	Text  string    `json:"text"`
	Price int       `json:"price"`
	At    time.Time `json:"at"`
}

// HintOffer is a hint that can be opened, and its price in points.
type HintOffer struct {
	Level int `json:"level"`
	Price int `json:"price"`
}

// ladder is what hints belong to: a task, or a fault in its drill.
type ladder struct {
	task, fault, title string
	points             int
	hints              []lab.Hint
	free               bool // nothing is earned any more
}

// Hint opens the next hint of a ladder, the one that fits what the checks see.
func (p *Practice) Hint(ctx context.Context, o HintOptions, sink ui.Sink) (*HintReport, error) {
	s, err := p.join(ctx, o.Lab, o.Target, sink)
	if err != nil {
		return nil, err
	}
	var l ladder
	var results []check.Result
	if o.Fault {
		l, results, err = p.faultLadder(ctx, s, sink)
	} else {
		l, results, err = p.taskLadder(ctx, s, o.Task, sink)
	}
	if err != nil {
		return nil, err
	}
	rep := &HintReport{Lab: s.Name, Task: l.task, Fault: l.fault, Title: l.title, Max: l.points}
	rep.fill(l, opened(s.store.Record(), l))
	if l.task != "" && allPass(l.task, results) {
		rep.Passed, rep.Offer = true, nil
		return rep, nil
	}
	if rep.Offer == nil {
		return rep, nil
	}
	if rep.Offer.Price > 0 && !o.Paid {
		yes, err := o.ask(ctx, s.Name, l, rep.Offer)
		if err != nil {
			return nil, err
		}
		if !yes {
			rep.Declined = true
			return rep, nil
		}
	}
	chosen := pick(l.hints, rep.Offer.Level, results)
	err = s.store.Update(ctx, func(r *progress.Record) error {
		h := progress.HintOpened{Task: l.task, Level: chosen.Level, When: chosen.When, At: p.deps.Now().UTC().Truncate(time.Second), Price: rep.Offer.Price}
		if l.fault == "" {
			r.Hints = append(r.Hints, h)
			return nil
		}
		d := r.OpenFault()
		if d == nil || d.ID != l.fault {
			return clierr.New("labctl check "+s.Name, "the fault is not in any more")
		}
		d.Hints = append(d.Hints, h)
		return nil
	})
	if err != nil {
		return nil, err
	}
	rep.fill(l, opened(s.store.Record(), l))
	rep.Opened = true
	return rep, nil
}

// ask shows the price of a hint before it opens.
func (o HintOptions) ask(ctx context.Context, name string, l ladder, offer *HintOffer) (bool, error) {
	of := fmt.Sprintf("of the %d of %q", l.points, l.title)
	if l.fault != "" {
		of = fmt.Sprintf("of the %d for the fault", l.points)
	}
	price := fmt.Sprintf("Hint %d costs %s %s", offer.Level, points(offer.Price), of)
	if o.Confirm == nil {
		command := "labctl hint " + name + " --fault --yes"
		if l.fault == "" {
			command = "labctl hint " + name + " " + l.task + " --yes"
		}
		return false, clierr.Usage(command, "%s; --yes opens it", lowerFirst(price))
	}
	return o.Confirm(ctx, price+". Open it?")
}

func lowerFirst(s string) string { return string(s[0]|0x20) + s[1:] }

// fill takes the opened hints into the report, and the one to come.
func (rep *HintReport) fill(l ladder, opened []progress.HintOpened) {
	rep.Hints, rep.Cost, rep.Offer = make([]Hint, 0, len(opened)), 0, nil
	highest := 0
	for _, h := range opened {
		text := ""
		for _, def := range l.hints {
			if def.Level == h.Level && def.When == h.When {
				text = def.Text
			}
		}
		rep.Hints = append(rep.Hints, Hint{Level: h.Level, When: h.When, Text: text, Price: h.Price, At: h.At})
		rep.Cost += h.Price
		highest = max(highest, h.Level)
	}
	for _, def := range l.hints {
		if def.Level <= highest || rep.Offer != nil && rep.Offer.Level <= def.Level {
			continue
		}
		rep.Offer = &HintOffer{Level: def.Level, Price: progress.HintPrice(l.points, def.Level)}
		if l.free {
			rep.Offer.Price = 0
		}
	}
}

// opened gives the hints of a ladder that were opened, in their order.
func opened(r progress.Record, l ladder) []progress.HintOpened {
	if l.fault != "" {
		if d := r.OpenFault(); d != nil && d.ID == l.fault {
			return d.Hints
		}
		return nil
	}
	var list []progress.HintOpened
	for _, h := range r.Hints {
		if h.Task == l.task {
			list = append(list, h)
		}
	}
	return list
}

// taskLadder looks at the task as it is now, so that the hint fits. Without an
// id it is the task that the learner is at.
func (p *Practice) taskLadder(ctx context.Context, s *session, id string, sink ui.Sink) (ladder, []check.Result, error) {
	if _, err := s.selected(id); err != nil {
		return ladder{}, nil, err
	}
	r := s.store.Record()
	t, ok := s.Lab.Task(id)
	if !ok {
		if t, ok = Current(s.Lab, r); !ok {
			t = &s.Lab.Tasks[len(s.Lab.Tasks)-1]
		}
	}
	score := progress.Score(s.Lab, r, nil)
	i := slices.IndexFunc(score.Tasks, func(x progress.TaskScore) bool { return x.ID == t.ID })
	l := ladder{task: t.ID, title: t.Title, points: t.Points(), hints: t.Hints, free: score.Tasks[i].Passed}
	results, err := observe(ctx, s, "A look at "+t.Title, check.Request{Tasks: []string{t.ID}, Latched: latched(s), NoWait: true}, sink)
	return l, results, err
}

func (p *Practice) faultLadder(ctx context.Context, s *session, sink ui.Sink) (ladder, []check.Result, error) {
	r := s.store.Record()
	d := r.OpenFault()
	if d == nil {
		return ladder{}, nil, clierr.New("labctl break "+s.Name+" puts one in", "no fault is in progress")
	}
	f, ok := s.Lab.Fault(d.ID)
	if !ok {
		return ladder{}, nil, clierr.New("labctl fix "+s.Name, "this version of the lab has no fault %q", d.ID)
	}
	// The title tells too much.
	l := ladder{fault: f.ID, title: "the fault", points: progress.FaultPoints, hints: f.Hints}
	if !slices.ContainsFunc(f.Hints, func(h lab.Hint) bool { return h.When != "" }) {
		return l, nil, nil
	}
	results, err := observe(ctx, s, "A look at the lab", check.Request{Checks: f.Fails, Latched: latched(s), NoWait: true}, sink)
	return l, results, err
}

// allPass tells whether every check of a task that ran passes.
func allPass(task string, results []check.Result) bool {
	ran := false
	for _, r := range results {
		if r.Task != task || r.Status == check.StatusSkipped {
			continue
		}
		if !r.Passed() {
			return false
		}
		ran = true
	}
	return ran
}

// pick gives the hint of a level that fits: the first whose condition holds,
// else the one without a condition.
func pick(hints []lab.Hint, level int, results []check.Result) lab.Hint {
	var general *lab.Hint
	for i := range hints {
		h := &hints[i]
		switch {
		case h.Level != level:
		case h.When == "":
			if general == nil {
				general = h
			}
		case holds(h.When, results):
			return *h
		}
	}
	if general == nil { // the format asks for one; a lab without still gets its hint
		i := slices.IndexFunc(hints, func(h lab.Hint) bool { return h.Level == level })
		general = &hints[i]
	}
	return *general
}

// holds tells whether a check of that id fails now, or recognised the mistake of
// that name.
func holds(when string, results []check.Result) bool {
	return slices.ContainsFunc(results, func(r check.Result) bool {
		fails := r.Status == check.StatusFail || r.Status == check.StatusBlocked || r.Status == check.StatusWaiting
		return fails && (r.ID == when || r.NearMiss == when)
	})
}
