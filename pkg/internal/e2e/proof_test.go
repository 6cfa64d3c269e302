//go:build e2e

package e2e

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"labctl.dev/labctl/labs"
	"labctl.dev/labctl/pkg/lab"
)

// proof is the part of `labctl smoke -o json` that the tests read.
type proof struct {
	OK   bool
	Labs []struct {
		Lab    string
		OK     bool
		States []struct {
			Name, Problem string
			OK            bool
			Cases         []struct {
				Check, Problem string
				OK             bool
			}
		}
		Survivors []string
	}
}

// TestProof proves the lab on a real cluster: each state of it, twice where the
// proof says so, and that the proof sees checks which always pass.
func TestProof(t *testing.T) {
	m := newMachine(t)
	t.Cleanup(func() { m.run(t, "down", "--all") })
	m.ok(t, "lint", labName)
	m.ok(t, "up", labName)

	t.Run("the lab is sound", func(t *testing.T) {
		report := filepath.Join(t.TempDir(), "smoke.xml")
		r := m.run(t, "smoke", labName, "--junit", report, "-o", "json")
		p := decode[proof](t, r.stdout)
		if r.code != 0 || !p.OK || len(p.Labs) != 1 {
			t.Fatalf("exit code %d, OK %v", r.code, p.OK)
		}
		last := p.Labs[0].States[len(p.Labs[0].States)-1]
		if last.Name != "mutation" || !last.OK || len(p.Labs[0].Survivors) > 0 {
			t.Errorf("the last state is %s, OK %v, survivors %v", last.Name, last.OK, p.Labs[0].Survivors)
		}
		cases := 0
		for _, s := range p.Labs[0].States {
			cases += len(s.Cases)
		}
		wantJUnit(t, report, cases)
	})
	t.Run("a check that always passes is seen", func(t *testing.T) {
		for kind, id := range openChecks(t) {
			t.Run(kind, func(t *testing.T) { m.wantSeen(t, id) })
		}
	})
}

// wantJUnit compares the report with what the proof looked at.
func wantJUnit(t *testing.T, path string, cases int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Name string `xml:"name,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(raw, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Suites) != 1 || report.Suites[0].Tests != cases || len(report.Suites[0].Cases) != cases || report.Suites[0].Failures != 0 {
		t.Errorf("the report has %d suites; want one with %d cases and no failure:\n%.2000s", len(report.Suites), cases, raw)
	}
}

// openChecks picks for each kind of probe a check that looks on a fresh lab.
func openChecks(t *testing.T) map[string]string {
	t.Helper()
	raw, err := labs.FS.ReadFile(labName + "/" + lab.FileName)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Decode(lab.FileName, raw)
	if err != nil {
		t.Fatal(err)
	}
	picked := map[string]string{}
	for _, task := range l.Tasks {
		for _, c := range task.Checks {
			if picked[c.Kind()] == "" && len(c.After) == 0 && !c.IsActive() {
				picked[c.Kind()] = c.ID
			}
		}
	}
	if len(picked) < 3 {
		t.Errorf("only %v look on a fresh lab", picked)
	}
	return picked
}

// wantSeen proves a lab in which one check always passes, and wants the proof
// to name it.
func (m *machine) wantSeen(t *testing.T, id string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "labs")
	if err := os.CopyFS(dir, labs.FS); err != nil {
		t.Fatal(err)
	}
	mutate(t, filepath.Join(dir, labName, lab.FileName), id)
	// To labctl a check that passes looks like somebody's work.
	r := m.run(t, "--labs-dir", dir, "smoke", labName, "--states", "fresh", "--yes", "-o", "json")
	p := decode[proof](t, r.stdout)
	if r.code != 3 || p.OK {
		t.Fatalf("exit code %d, OK %v; want 3 and not OK", r.code, p.OK)
	}
	var seen []string
	for _, c := range p.Labs[0].States[0].Cases {
		if !c.OK {
			seen = append(seen, c.Check)
		}
	}
	if !slices.Contains(seen, id) {
		t.Errorf("%s always passes; the proof names %v", id, seen)
	}
}

// mutate makes one check of a lab.yaml always pass.
func mutate(t *testing.T, path, id string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	done := false
	for _, task := range field(doc.Content[0], "tasks").Content {
		for _, check := range field(task, "checks").Content {
			if field(check, "id").Value == id {
				field(check, "expect").SetString("true")
				done = true
			}
		}
	}
	if !done {
		t.Fatalf("no check %s in %s", id, path)
	}
	out, err := yaml.Marshal(&doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.TrimSpace(string(out))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func field(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return &yaml.Node{}
}
