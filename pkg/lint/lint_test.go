package lint_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/lint"
	"labctl.dev/labctl/pkg/scaffold"
)

const laterTask = `  - id: later
    title: Later
    why: So.
    brief: tasks/greet.md
    names: [ConfigMap/greeting]
    checks:
      - id: DE2a
        points: 1
        kube: {apiVersion: v1, kind: ConfigMap, name: greeting}
        expect: has(object.data.more)
        values: {found: object.data.more, expected: "'more'"}
        fail: "It is {found}."
    hints: [{level: 1, text: a}, {level: 2, text: b}, {level: 3, text: c}]
    solution: [{apply: solutions/greeting.yaml}]
`

// change is one mistake that is made in a new lab.
type change struct {
	file, old, new string
}

// broken gives a new lab with changes; a file without old text is added, or
// removed when there is no new text either.
func broken(t *testing.T, changes ...change) fstest.MapFS {
	t.Helper()
	files, err := scaffold.Files("demo", "x.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for name, data := range files {
		dir[name] = &fstest.MapFile{Data: data}
	}
	for _, c := range changes {
		switch {
		case c.old == "" && c.new == "":
			delete(dir, c.file)
		case c.old == "":
			dir[c.file] = &fstest.MapFile{Data: []byte(c.new)}
		default:
			data := strings.Replace(string(dir[c.file].Data), c.old, c.new, 1)
			if data == string(dir[c.file].Data) {
				t.Fatalf("%q is not in %s", c.old, c.file)
			}
			dir[c.file] = &fstest.MapFile{Data: []byte(data)}
		}
	}
	return dir
}

// section gives the part of a new lab's lab.yaml between two texts.
func section(t *testing.T, from, to string) string {
	t.Helper()
	files, err := scaffold.Files("demo", "x.json")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(files["lab.yaml"]), from)
	rest, _, ok := strings.Cut(rest, to)
	if !ok {
		t.Fatalf("no %q and %q in lab.yaml", from, to)
	}
	return from + rest
}

func run(t *testing.T, files fs.FS) []lint.Finding {
	t.Helper()
	findings, err := newLinter(t).Lint(t.Context(), "demo", "demo", files)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

// TestFindings compares every message with a golden file, because they are
// what an author works with.
func TestFindings(t *testing.T) {
	t.Parallel()
	const (
		spec     = "lab.yaml"
		brief    = "tasks/greet.md"
		solution = "solutions/greeting.yaml"
		chart    = "chart/Chart.yaml"
		seeded   = "chart/templates/greeting.yaml"
	)
	tests := []struct {
		name    string
		changes []change
	}{
		{"a new lab", nil},
		{"an invalid lab.yaml", []change{{spec, "level: 1", "level: 9"}}},
		{"another name", []change{{spec, `name: "demo"`, "name: other"}}},
		{"no tasks", []change{{spec, section(t, "tasks:\n", "interview:\n"), ""}}},
		{"no brief", []change{{brief, "", ""}}},
		{"misspelt file", []change{{spec, "apply: solutions/greeting.yaml", "apply: solutions/greting.yaml"}}},
		{"empty brief", []change{{brief, "", " \n"}}},
		{"large brief", []change{{brief, "", "`greeting` " + strings.Repeat("x", 1<<20)}}},
		{"a file that nothing names", []change{{"solutions/old.yaml", "", "a: b"}, {"README.md", "", "Read me"}}},

		{"manifest is no YAML", []change{{solution, "\ndata:", "\ndata: ["}}},
		{"manifest with a field twice", []change{{solution, "\ndata:", "\nkind: Secret\ndata:"}}},
		{"manifest with an unknown field", []change{{solution, "\ndata:", "\ndta:"}}},
		{"manifest of an unknown kind", []change{{solution, "apiVersion: v1\nkind: ConfigMap", "apiVersion: argoproj.io/v1alpha1\nkind: Workflow"}}},
		{"manifest for the cluster", []change{{solution, "kind: ConfigMap", "kind: Namespace"}}},
		{"manifest with a namespace", []change{{solution, "name: greeting", "name: greeting\n  namespace: lab-demo"}}},
		{"manifest without a name", []change{{solution, "name: greeting", "generateName: greeting"}}},
		{"manifest without a kind", []change{{solution, "kind: ConfigMap\n", ""}}},
		{"manifest with control characters", []change{{solution, "", "apiVersion: v1\nkind: \"x\\e[31m\"\nmetadata: {name: a, namespace: b}\n"}}},
		{"manifest with a list", []change{{solution, "", "apiVersion: v1\nkind: List\nitems: []\n"}}},
		{"manifest with comments only", []change{{solution, "", "# nothing\n"}}},
		{"second document", []change{{solution, "  message: hello\n", "  message: hello\n---\n# two\n\napiVersion: v1\nkind: Node\nmetadata: {name: a}\n"}}},

		{"misspelt variable", []change{{spec, `expect: object.data.message == "hello"`, `expect: objet.data.message == "hello"`}}},
		{"syntax", []change{{spec, `expect: exitCode == 0 && json`, `expect: exitCode == 0 &&& json`}}},
		{"expectation is no bool", []change{{spec, `expect: object.data.message == "hello"`, `expect: size("hello")`}}},
		{"values", []change{{spec, "values: {found: object.data.message", "values: {found: objet.data.message"}}},
		{"when", []change{{spec, "when: object == null", "when: object = null"}}},
		{"when of a value that is not there", []change{{spec, "when: values.found.lowerAscii()", "when: values.fond.lowerAscii()"}}},
		{"pending", []change{{spec, "        look: ", "        pending: status == 0\n        look: "}}},
		{"constant", []change{{spec, `expect: object.data.message == "hello"`, `expect: '"object" == "object"'`}}},
		{"passes on an empty lab", []change{{spec, `expect: object.data.message == "hello"`, `expect: object == null || object.data.message == "hello"`}}},
		{"passes with another probe", []change{{
			spec, `expect: object.data.message == "hello"`,
			`with: {pods: {kube: {apiVersion: v1, kind: Pod}}}` + "\n        expect: pods.objects.all(p, p.metadata.name == \"x\")",
		}}},
		{"a probe that nothing uses", []change{{
			spec, `expect: object.data.message == "hello"`,
			`with: {pods: {kube: {apiVersion: v1, kind: Pod}}}` + "\n        " + `expect: object.data.message == "pods"`,
		}}},
		{"wait", []change{{
			spec, "      - apply: solutions/greeting.yaml",
			"      - apply: solutions/greeting.yaml\n      - wait: {promql: {query: up}, expect: value.x > nn}",
		}}},
		{"constant wait", []change{{
			spec, "      - apply: solutions/greeting.yaml",
			"      - apply: solutions/greeting.yaml\n      - wait: {promql: {query: up}, expect: 1 == 1}",
		}}},

		{"brief without a name", []change{{brief, "ConfigMap `greeting`", "ConfigMap `greetings`"}}},
		{"unlisted names", []change{{spec, "names: [ConfigMap/greeting]", "names: []"}, {seeded, "name: greeting", "name: other"}}},
		{"unnamed things of a registry", []change{{
			spec, `expect: object.data.message == "hello"`,
			`with: {v: {mlflow: {alias: {model: greeting, name: champion}}}}` + "\n        expect: v.result.version == object.data.message",
		}}},

		{"no hints", []change{{spec, section(t, "    hints:\n", "    solution:\n"), ""}}},
		{"no solution", []change{{spec, "    solution:\n      - apply: solutions/greeting.yaml\n", ""}}},
		{"hint that nobody sees", []change{{spec, "            nearMiss: capital-letter\n", ""}}},
		{"long message", []change{{spec, "and capitals count.", strings.Repeat("and capitals count, ", 12)}}},
		{"loud message", []change{{spec, "and capitals count.", "and capitals count!"}}},
		{"message without found", []change{{spec, "The workbench reads {found} in", "The workbench reads something in"}}},

		{"essential check without a drill", []change{{spec, "mustFail: [DE1a, DE1b]", "mustFail: [DE1b]"}, {spec, "fails: [DE1a, DE1b]", "fails: [DE1b]"}}},
		{"alternative that leaves the task done", []change{{spec, "    alternatives:\n", "    alternatives:\n      - {id: by-file, steps: [{apply: solutions/greeting.yaml}]}\n"}}},
		{"near-miss of a later check", []change{{spec, "faults:\n", laterTask + "faults:\n"}, {spec, "mustFail: [DE1a, DE1b]", "mustFail: [DE1a, DE2a]"}}},
		{"fault without words", []change{{spec, "    cause: Somebody deleted the ConfigMap greeting.\n", ""}}},

		{"no chart", []change{{chart, "", ""}}},
		{"chart of another name", []change{{chart, `name: "demo"`, "name: other"}}},
		{"component that is no dependency", []change{{spec, "components: [workbench]", "components: [workbench, mlfow]"}}},
		{"dependency that is no component", []change{{chart, "  - name: workbench", "  - {name: mlflow, version: 0.1.0, repository: file://../../../charts/mlflow}\n  - name: workbench"}}},
		{"unknown component chart", []change{{
			chart, "name: workbench\n    version: 0.1.0\n    repository: file://../../../charts/workbench",
			"name: workbnch\n    version: 0.1.0\n    repository: file://../../../charts/workbnch",
		}}},
		{"chart that does not render", []change{{seeded, "{{ .Release.Name }}", "{{ .Release.Name | nonsense }}"}}},
		{"chart for the cluster", []change{{seeded, "kind: ConfigMap", "kind: ClusterRole"}}},
		{"chart for another namespace", []change{{seeded, "name: greeting", "name: greeting\n  namespace: kube-system"}}},
		{"unknown image", []change{{seeded, "data:", `image: {{ include "common.image" (dict "root" . "name" "wrkbench") }}` + "\ndata:"}}},
		{"endpoint", []change{{spec, "seed: {value: 7}", "endpoints: [{name: ui, service: ui, port: 80}]"}}},
	}
	always := map[string]bool{"few-drills": true} // how many is for the author
	var b strings.Builder
	for _, tt := range tests {
		b.WriteString("# " + tt.name + "\n")
		findings := run(t, broken(t, tt.changes...))
		for _, f := range findings {
			if !always[f.ID] || tt.changes == nil {
				b.WriteString(f.String() + "\n")
			}
		}
	}
	golden.Equal(t, []byte(b.String()), "findings.golden")
}

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	files := broken(t)
	files["solutions/greeting.yaml"].Mode = fs.ModeSymlink
	findings := run(t, files)
	if len(findings) != 1 || findings[0].ID != "special-file" || lint.Errors(findings) != 1 {
		t.Errorf("findings %v, want the link alone", findings)
	}
}

func TestNoDirectory(t *testing.T) {
	t.Parallel()
	if _, err := newLinter(t).Lint(t.Context(), "x", "x", fstest.MapFS{}); err == nil {
		t.Error("a directory without a lab.yaml was linted")
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	findings := run(t, broken(t, change{"tasks/greet.md", "", ""}))
	if !slices.ContainsFunc(findings, func(f lint.Finding) bool {
		return f.ID == "file-missing" && f.Line > 0 && f.Column > 0 && f.File == "demo/lab.yaml"
	}) {
		t.Errorf("findings %v", findings)
	}
}

// TestGuide holds the example of a check in the guide for authors to what lint
// asks of one.
func TestGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "authoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(guide), "```yaml\n- id: MR3a")
	example, _, _ = strings.Cut(example, "```")
	if !ok {
		t.Fatal("the example is not there")
	}
	example = strings.ReplaceAll("- id: DE1a"+example, "\n", "\n      ")
	files := broken(t,
		change{"lab.yaml", section(t, "    checks:\n", "    hints:\n"), "    checks:\n      " + strings.TrimRight(example, " ")},
		change{"lab.yaml", "[DE1a, DE1b]", "[DE1a]"}, change{"lab.yaml", "[DE1a, DE1b]", "[DE1a]"},
		change{"lab.yaml", section(t, "      - {level: 2, when", "      - {level: 2, text"), ""})
	for _, f := range run(t, files) {
		// The brief is that of another task.
		if f.Severity == lint.Error && f.ID != "brief-name" && f.ID != "name-unlisted" {
			t.Error(f)
		}
	}
}
