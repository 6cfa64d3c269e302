package smoke

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/lab"
)

func exec(argv ...string) []lab.Step {
	return []lab.Step{{Exec: &lab.ExecProbe{Argv: argv}}}
}

// demo is a lab with everything that a plan can hold.
func demo() *lab.Lab {
	return &lab.Lab{
		Metadata: lab.Metadata{Name: "demo"},
		Tasks: []lab.Task{
			{
				ID: "one", Solution: exec("solve", "one"),
				Checks: []lab.Check{{ID: "DE1a", Points: 1}, {ID: "DE1b", Points: 1, After: []string{"DE1a"}}},
				NearMisses: []lab.NearMiss{
					{ID: "half", Base: lab.BaseBefore, Steps: exec("half"), Undo: exec("undo", "half"), MustFail: []string{"DE1a"}},
					{ID: "late", Base: lab.BaseSolved, Steps: exec("late"), MustFail: []string{"DE1b"}, MayFail: []string{"DE2a"}},
				},
				Alternatives: []lab.Alternative{{ID: "other", Steps: exec("other"), Undo: exec("undo", "other")}},
			},
			{
				ID: "two", Solution: exec("solve", "two"),
				Checks: []lab.Check{
					{ID: "DE2a", Points: 1, Fail: lab.Fail{{When: "true", NearMiss: "vague", Text: "vague"}, {Text: "else"}}},
					{ID: "DE2b", Points: 1, Active: "moves", Latch: true},
				},
				NearMisses: []lab.NearMiss{{ID: "vague", Base: lab.BaseBefore, Steps: exec("vague"), MustFail: []string{"DE2a"}}},
			},
			{
				ID: "three", Solution: exec("solve", "three"),
				Checks: []lab.Check{{ID: "DE3a", Points: 1}, {ID: "DE3b", Points: 1, Active: "loads"}},
			},
		},
		Faults: []lab.Fault{{
			ID: "storm", Inject: exec("storm"), Fix: exec("calm"),
			Fails: []string{"DE3b"}, MayFail: []string{"DE2b"}, MustPass: []string{"DE1a"},
		}},
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, pick := range map[string]Selection{
		"all":                 {},
		"fresh-solved-faults": {Kinds: []Kind{Fresh, Solved, Fault}},
		"fresh":               {Kinds: []Kind{Fresh}},
		"faults":              {Kinds: []Kind{Fault}},
		"names":               {Kinds: []Kind{Fresh}, Names: []string{"near-miss/vague", "fixed/storm"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			for _, s := range Plan(demo(), pick) {
				write(&b, s)
			}
			golden.Equal(t, []byte(b.String()), "plan/"+name+".txt")
		})
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pick     Selection
		complete bool
		missing  string
	}{
		"nothing is all": {complete: true},
		"every kind":     {pick: Selection{Kinds: Kinds()}, complete: true},
		"a kind":         {pick: Selection{Kinds: []Kind{Fresh}}},
		"a name":         {pick: Selection{Names: []string{"fault/storm"}}},
		"unknown name":   {pick: Selection{Names: []string{"fault/storm", "fault/strom"}}, missing: "fault/strom"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.pick.Complete(); got != tt.complete {
				t.Errorf("complete %v, want %v", got, tt.complete)
			}
			if got, known := tt.pick.missing(demo()); got != tt.missing || !slices.Contains(known, "fixed/storm") {
				t.Errorf("missing %q of %v, want %q", got, known, tt.missing)
			}
		})
	}
}

func write(b *strings.Builder, s Stage) {
	fmt.Fprintf(b, "%s (%s)", s.Name, s.Kind)
	if s.Reset {
		b.WriteString(" reset")
	}
	if s.Settles {
		b.WriteString(" settles")
	}
	if s.Again {
		b.WriteString(" again")
	}
	if s.SameAs != "" {
		b.WriteString(" same as " + s.SameAs)
	}
	if s.Recognised != "" {
		b.WriteString(" recognised")
	}
	if s.Opens {
		b.WriteString(" opens")
	}
	b.WriteString("\n")
	for _, part := range []struct {
		title string
		steps []lab.Step
	}{{"steps", s.Steps}, {"back", s.Back}} {
		for _, step := range part.steps {
			fmt.Fprintf(b, "  %s: %s\n", part.title, strings.Join(step.Exec.Argv, " "))
		}
	}
	for _, part := range []struct {
		title string
		wants map[string]Want
	}{{"before", s.Before}, {"want", s.Wants}} {
		for _, id := range slices.Sorted(maps.Keys(part.wants)) {
			fmt.Fprintf(b, "  %s %s: %s\n", part.title, id, part.wants[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Active)) {
		fmt.Fprintf(b, "  runs %s\n", id)
	}
}
