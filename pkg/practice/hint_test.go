package practice

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

func hints() []lab.Hint {
	return []lab.Hint{
		{Level: 1, Text: "Where?"},
		{Level: 2, Text: "What?"},
		{Level: 2, When: "X1b", Text: "Not X1b."},
		{Level: 3, Text: "Like this."},
	}
}

func hinting(t *testing.T) (*Practice, *world, func(HintOptions) *HintReport) {
	t.Helper()
	p, w := practising(t)
	w.lab.Tasks[0].Hints, w.lab.Faults[0].Hints = hints(), hints()[:2]
	return p, w, func(o HintOptions) *HintReport {
		t.Helper()
		rep, err := p.Hint(t.Context(), o, ui.Discard())
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
}

func TestLadder(t *testing.T) {
	t.Parallel()
	p, w, next := hinting(t)
	w.holds["X1a"] = true
	type step struct {
		Text   string
		Price  int
		Opened bool
		Cost   int
		Offer  HintOffer
	}
	var got []step
	for range 4 {
		rep := next(HintOptions{Paid: true})
		last := rep.Hints[len(rep.Hints)-1]
		s := step{last.Text, last.Price, rep.Opened, rep.Cost, HintOffer{}}
		if rep.Offer != nil {
			s.Offer = *rep.Offer
		}
		got = append(got, s)
	}
	want := []step{
		{"Where?", 0, true, 0, HintOffer{2, 1}},
		{"Not X1b.", 1, true, 1, HintOffer{3, 2}},
		{"Like this.", 2, true, 3, HintOffer{}},
		{"Like this.", 2, false, 3, HintOffer{}}, // reading again costs nothing
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ladder (-want +got):\n%s", diff)
	}
	w.holds["X1b"] = true
	if rep := next(HintOptions{Task: "one"}); !rep.Passed || rep.Opened {
		t.Errorf("a task that passes: %+v", rep)
	}
	rep, err := p.Check(t.Context(), CheckOptions{Task: "one"}, ui.Discard())
	if err != nil || rep.Score.Earned != 7 {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestPriceIsShownFirst(t *testing.T) {
	t.Parallel()
	p, _, next := hinting(t)
	next(HintOptions{})
	_, err := p.Hint(t.Context(), HintOptions{}, ui.Discard())
	if d := clierr.Describe(err); d.Code != clierr.CodeUsage || d.Hint != "labctl hint x one --yes" || d.Error != `hint 2 costs 1 point of the 10 of "One"; --yes opens it` {
		t.Errorf("nobody to ask: %+v", d)
	}
	question := ""
	rep := next(HintOptions{Confirm: func(_ context.Context, q string) (bool, error) { question = q; return false, nil }})
	if !rep.Declined || rep.Opened || len(rep.Hints) != 1 || question != `Hint 2 costs 1 point of the 10 of "One". Open it?` {
		t.Errorf("%+v, asked %q", rep, question)
	}
	if r := record(t, p); r.HintLevel("one") != 1 {
		t.Errorf("opened %+v", r.Hints)
	}
	rep = next(HintOptions{Confirm: func(context.Context, string) (bool, error) { return true, nil }})
	if !rep.Opened || rep.Cost != 1 {
		t.Errorf("%+v", rep)
	}
}

// TestHintsOfWhatPassedAreFree: points that are earned stay.
func TestHintsOfWhatPassedAreFree(t *testing.T) {
	t.Parallel()
	p, w, next := hinting(t)
	w.holds["X1a"], w.holds["X1b"] = true, true
	if _, err := p.Check(t.Context(), CheckOptions{}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	w.holds["X1a"] = false
	next(HintOptions{Task: "one"})
	if rep := next(HintOptions{Task: "one"}); !rep.Opened || rep.Cost != 0 {
		t.Errorf("%+v", rep)
	}
}

func TestHintOfTheTaskAtHand(t *testing.T) {
	t.Parallel()
	p, w, next := hinting(t)
	w.lab.Tasks[1].Hints = hints()[:1]
	w.holds["X1a"], w.holds["X1b"] = true, true
	if _, err := p.Check(t.Context(), CheckOptions{}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if rep := next(HintOptions{}); rep.Task != "two" || !rep.Opened {
		t.Errorf("%+v", rep)
	}
}

func TestHintOfFault(t *testing.T) {
	t.Parallel()
	p, _, next := hinting(t)
	if _, err := p.Hint(t.Context(), HintOptions{Fault: true}, ui.Discard()); err == nil || clierr.Describe(err).Hint == "" {
		t.Errorf("no fault: %v", err)
	}
	if _, err := p.Break(t.Context(), BreakOptions{Lab: "x", Fault: "down", SolveFirst: true}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	rep := next(HintOptions{Fault: true})
	if !rep.Opened || rep.Fault != "down" || rep.Max != progress.FaultPoints || rep.Offer.Price != 1 || strings.Contains(rep.Title, "down") {
		t.Errorf("%+v", rep)
	}
	rep = next(HintOptions{Fault: true, Paid: true})
	if rep.Cost != 1 || rep.Offer != nil {
		t.Errorf("%+v", rep)
	}
	r := record(t, p)
	if d := r.OpenFault(); d == nil || d.HintLevel() != 2 || len(r.Hints) > 0 {
		t.Errorf("%+v", r)
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	list := []lab.Hint{
		{Level: 1, Text: "general"},
		{Level: 2, Text: "general"},
		{Level: 2, When: "alias-in-uri", Text: "near miss"},
		{Level: 2, When: "A", Text: "check"},
		{Level: 3, When: "A", Text: "only one"},
	}
	tests := map[string]struct {
		level   int
		results []check.Result
		want    string
	}{
		"nothing holds":       {2, []check.Result{{ID: "A", Status: check.StatusPass}}, "general"},
		"a check fails":       {2, []check.Result{{ID: "A", Status: check.StatusFail}}, "check"},
		"a check is blocked":  {2, []check.Result{{ID: "A", Status: check.StatusBlocked}}, "check"},
		"an error is nothing": {2, []check.Result{{ID: "A", Status: check.StatusError}}, "general"},
		"a near miss":         {2, []check.Result{{ID: "A", Status: check.StatusFail, NearMiss: "alias-in-uri"}}, "near miss"},
		"of the level":        {1, []check.Result{{ID: "A", Status: check.StatusFail}}, "general"},
		"none without a when": {3, nil, "only one"},
	}
	for name, tt := range tests {
		if got := pick(list, tt.level, tt.results).Text; got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
