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
	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/lab"
)

// proof is the part of `labctl smoke -o json` that the tests read.
type proof struct {
	OK   bool
	Labs []struct {
		Lab    string
		OK     bool
		Error  string
		States []struct {
			Name, Problem string
			OK            bool
			Cases         []struct {
				Check, Problem string
				OK             bool
			}
		}
	}
}

// unsound lists what is not as it must be, a line each. The whole document is in
// the log; this is for the last lines, which are all that some see.
func (p *proof) unsound() string {
	var lines []string
	for _, l := range p.Labs {
		if l.Error != "" {
			lines = append(lines, l.Lab+": "+l.Error)
		}
		for _, s := range l.States {
			if s.Problem != "" {
				lines = append(lines, l.Lab+", "+s.Name+": "+s.Problem)
			}
			for _, c := range s.Cases {
				if !c.OK {
					lines = append(lines, l.Lab+", "+s.Name+", "+c.Check+": "+c.Problem)
				}
			}
		}
	}
	return strings.Join(lines, "\n")
}

// Which labs are proven in which states: by default all labs, in the states of a
// learner who does everything right, and of faults. `make smoke` has the rest.
const (
	proofLabsEnv   = "LABCTL_E2E_LABS"
	proofStatesEnv = "LABCTL_E2E_STATES"
)

// TestProof proves labs on one real cluster, and wants the proof to see checks
// which always pass.
func TestProof(t *testing.T) {
	m := newMachine(t)
	t.Cleanup(func() { m.run(t, "down", "--all") })
	all := labNames(t)
	for _, name := range all {
		m.ok(t, "lint", name)
	}
	names, states := asked(t, proofLabsEnv, proofStatesEnv, all, "fresh,solved,faults")
	t.Run("the labs are sound", func(t *testing.T) {
		report := filepath.Join(t.TempDir(), "smoke.xml")
		args := []string{"smoke", "--junit", report, "-o", "json", "--parallel", "2", "--states", states}
		r := m.run(t, append(args, names...)...)
		p := decode[proof](t, r.stdout)
		if r.code != 0 || !p.OK || len(p.Labs) != len(names) {
			t.Fatalf("exit code %d, OK %v, %d of %d labs\n%s", r.code, p.OK, len(p.Labs), len(names), p.unsound())
		}
		p.wantJUnit(t, report)
	})
	m.ok(t, "up", labName)
	t.Run("a check that always passes is seen", func(t *testing.T) {
		for kind, id := range openChecks(t) {
			t.Run(kind, func(t *testing.T) { m.wantSeen(t, id) })
		}
	})
}

// asked gives the labs and states that the environment asks for (names of labs,
// or "all"), and else the given ones.
func asked(t *testing.T, labsEnv, statesEnv string, names []string, states string) ([]string, string) {
	t.Helper()
	switch s := os.Getenv(labsEnv); s {
	case "":
	case "all":
		names = labNames(t)
	default:
		names = strings.Split(s, ",")
	}
	if s := os.Getenv(statesEnv); s != "" {
		states = s
	}
	return names, states
}

// labNames lists the labs that come with labctl, those first whose proofs look at
// most checks, so that two at a time end about together. It counts each check
// once for each task and each fault: near enough for an order.
func labNames(t *testing.T) []string {
	t.Helper()
	entries, err := catalog.New(labs.FS).List()
	if err != nil || len(entries) == 0 {
		t.Fatalf("labs %v: %v", entries, err)
	}
	slices.SortStableFunc(entries, func(a, b catalog.Entry) int { return looks(b.Lab) - looks(a.Lab) })
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Lab.Metadata.Name
	}
	return names
}

func looks(l *lab.Lab) int {
	checks := 0
	for _, task := range l.Tasks {
		checks += len(task.Checks)
	}
	return checks * (len(l.Tasks) + len(l.Faults))
}

// wantJUnit compares the report with what the proof looked at: a suite for each
// lab, a case for each check in each state.
func (p *proof) wantJUnit(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Suites []struct {
			Tests    int        `xml:"tests,attr"`
			Failures int        `xml:"failures,attr"`
			Cases    []struct{} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(raw, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Suites) != len(p.Labs) {
		t.Fatalf("the report has %d suites for %d labs:\n%.2000s", len(report.Suites), len(p.Labs), raw)
	}
	for i, l := range p.Labs {
		cases := 0
		for _, s := range l.States {
			cases += len(s.Cases)
		}
		if s := report.Suites[i]; cases == 0 || s.Tests != cases || len(s.Cases) != cases || s.Failures != 0 {
			t.Errorf("%s: %d tests, %d cases, %d failures in the report; the proof has %d", l.Lab, s.Tests, len(s.Cases), s.Failures, cases)
		}
	}
}

// openChecks picks for each kind of probe a check that looks on a fresh lab.
func openChecks(t *testing.T) map[string]string {
	t.Helper()
	e, err := catalog.New(labs.FS).Get(labName)
	if err != nil {
		t.Fatal(err)
	}
	picked := map[string]string{}
	for _, task := range e.Lab.Tasks {
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
