package explain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/docs"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/doctor/known"
	"labctl.dev/labctl/pkg/explain"
	"labctl.dev/labctl/pkg/lab"
)

func testLab() *lab.Lab {
	return &lab.Lab{
		Metadata:  lab.Metadata{Name: "serving", Title: "Serving", Promise: "Serve models like services.", Level: 2, Minutes: 60},
		Layer:     lab.Layer{MLOps: []string{"serving", "canary"}},
		Analogies: []lab.Analogy{{Know: "a|b", New: "readiness of a model"}},
		Tasks: []lab.Task{{ID: "ready", Title: "Ready means ready", Why: "Users get errors at each rollout.", Checks: []lab.Check{
			{ID: "SV1a", Points: 5, Probe: lab.Probe{Kube: &lab.KubeProbe{Kind: "Deployment", Name: "predictor"}}, Why: "Users get errors."},
			{ID: "SV1b", Points: 3, Probe: lab.Probe{Exec: &lab.ExecProbe{Argv: []string{"probe", "--json"}}}, After: []string{"SV1a"}, Active: "restarts predictor, about 40 s", Latch: true},
		}}},
	}
}

func book(t *testing.T) *explain.Book {
	t.Helper()
	page, err := docs.FS.ReadFile("doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	b, err := explain.New([]*lab.Lab{testLab()}, string(page))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFind(t *testing.T) {
	t.Parallel()
	b := book(t)
	tests := map[string]struct {
		kind explain.Kind
		name string
		has  []string
	}{
		"drift":          {explain.Term, "drift", []string{"training"}},
		"Data Drift":     {explain.Term, "drift", nil},
		"model-registry": {explain.Term, "model registry", []string{"aliases"}},
		"PSI":            {explain.Term, "population stability index", nil},
		"serving":        {explain.Lab, "serving", []string{"Serve models like services.", `| a\|b | readiness of a model |`, "1. Ready means ready (`ready`, 8 points)", "about serving, canary"}},
		"ready":          {explain.Task, "ready", []string{"8 points", "labctl task serving ready"}},
		"sv1a":           {explain.Check, "SV1a", []string{"5 of its 8 points", "not passed", "`Deployment/predictor`", "Users get errors"}},
		"SV1b":           {explain.Check, "SV1b", []string{"`probe`", "it restarts predictor, about 40 s.", "waits for SV1a", "stays passed"}},
		"engine-down":    {explain.Finding, "engine-down", nil},
		"node-memory":    {},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := b.Find(name)
			if tt.name == "" {
				if clierr.Code(err) != clierr.CodeUsage || clierr.Describe(err).Hint == "" {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			e := found[0]
			if e.Kind != tt.kind || e.Name != tt.name || e.Text == "" {
				t.Errorf("found %s %q", e.Kind, e.Name)
			}
			for _, part := range tt.has {
				if !strings.Contains(e.Text, part) {
					t.Errorf("no %q in\n%s", part, e.Text)
				}
			}
		})
	}
	if _, err := b.Find("drfit"); err == nil || !strings.Contains(err.Error(), "did you mean drift") {
		t.Errorf("near match: %v", err)
	}
}

// TestEveryFindingAndErrorIsExplained holds doctor's page to the ids in code.
func TestEveryFindingAndErrorIsExplained(t *testing.T) {
	t.Parallel()
	b := book(t)
	if diff := cmp.Diff(sorted(doctor.IDs()), sorted(b.Names(explain.Finding))); diff != "" {
		t.Errorf("findings (-code +page):\n%s", diff)
	}
	for _, id := range slices.Concat(doctor.IDs(), known.IDs()) {
		if found, err := b.Find(id); err != nil || found[0].Text == "" {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestGlossary finds what a new term easily gets wrong.
func TestGlossary(t *testing.T) {
	t.Parallel()
	b := book(t)
	owner := map[string]string{}
	for _, name := range b.Names(explain.Term) {
		found, err := b.Find(name)
		if err != nil || len(found) != 1 {
			t.Errorf("%s: %d entries, %v", name, len(found), err)
			continue
		}
		e := found[0]
		for _, n := range append([]string{e.Name}, e.Also...) {
			if owner[n] != "" {
				t.Errorf("%q is in %q and %q", n, owner[n], name)
			}
			owner[n] = name
		}
		if e.Know == "" || len(e.Text) < 60 || len(e.Text) > 500 {
			t.Errorf("%s: know %q, %d characters", name, e.Know, len(e.Text))
		}
		for _, other := range e.See {
			if found, err := b.Find(other); err != nil || found[0].Kind != explain.Term {
				t.Errorf("%s refers to %q: %v", name, other, err)
			}
		}
	}
	if n := len(b.Names(explain.Term)); n < 40 {
		t.Errorf("%d terms", n)
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
