package lab

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/internal/golden"
)

// withTasks is a lab with everything that a task can have; tests change one
// thing in it.
func withTasks(tb testing.TB) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "tasks.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func TestDecodeTasks(t *testing.T) {
	t.Parallel()
	l, err := Decode("lab.yaml", []byte(withTasks(t)))
	if err != nil {
		t.Fatal(err)
	}
	task, c, ok := l.Check("DM1a")
	if !ok || task.ID != "pin" {
		t.Fatalf("check DM1a is not in task pin: %+v", task)
	}
	if c.Kind() != ProbeHTTP || c.HTTP.Method != http.MethodGet || c.Deadline != DefaultDeadline || c.Interval != DefaultInterval {
		t.Errorf("defaults are missing: %+v", c)
	}
	if c.Why != task.Why {
		t.Errorf("why is %q, want that of the task", c.Why)
	}
	if !task.IsEssential(0) || task.IsEssential(1) || task.Points() != 5 {
		t.Error("the first check is essential by default, the others are not, and points add up")
	}
	if got := task.Checks[1].Deadline; got != 90*time.Second {
		t.Errorf("deadline %s", got)
	}
	if n := task.NearMisses[0]; n.Base != BaseBefore || n.Title != "alias" || n.Steps[0].Exec.Selector != DefaultSelector {
		t.Errorf("defaults are missing: %+v", n)
	}
	if diff := cmp.Diff(Fail{{Text: "It is {found}, not {expected} ({where})."}}, task.Checks[1].Fail); diff != "" {
		t.Error(diff)
	}
	if err := l.Validate(); err != nil {
		t.Error(err)
	}
}

func TestDecodeTaskErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, old, new string }{
		{"task without id", "- id: pin", "- id:"},
		{"task id", "- id: pin", "- id: Pin_it"},
		{"task twice", "- id: observe", "- id: pin"},
		{"no brief", "brief: tasks/pin.md", "brief:"},
		{"brief outside", "brief: tasks/pin.md", "brief: ../pin.md"},
		{"brief absolute", "brief: tasks/pin.md", "brief: /etc/pin.md"},
		{"brief is no Markdown", "brief: tasks/pin.md", "brief: tasks/pin.txt"},
		{"object name", "Deployment/predictor, \"", "predictor, \""},
		{"object name twice", "alias/champion]", "alias/champion, alias/champion]"},
		{"no checks", "  - id: observe", "  - {id: empty, title: x, why: y, brief: a.md, checks: []}\n  - id: observe"},
		{"check id", "id: DM1b", "id: dm1b"},
		{"check of another task", "id: DM1b", "id: DM2b"},
		{"check twice", "id: DM1b", "id: DM1a"},
		{"no points", "points: 3", "points: 0"},
		{"no probe", "kube: {apiVersion: apps/v1, kind: Deployment, name: predictor}\n        with:", "with:"},
		{"two probes", "promql: {query: up}", "promql: {query: up}\n        exec: {argv: [a]}"},
		{"misspelt probe", "promql: {query: up}", "promgl: {query: up}"},
		{"kube fields", "{apiVersion: apps/v1, kind: Deployment, name: predictor}", "{apiVersion: apps, kind: deployment, name: Pre}"},
		{"name and selector", "kind: Deployment, name: predictor}", "kind: Deployment, name: predictor, selector: a=b}"},
		{"selector", "selector: app=predictor", "selector: \"app=(predictor\""},
		{"http fields", "{service: predictor, port: 8080, path: /v2/models}", "{service: a b, port: 0, path: v2, method: GETS}"},
		{"http path leaves the service", "path: /v2/models", "path: /v2/%2e%2e/%2e%2e/secrets"},
		{"http header", "headers: {Accept: application/json}", "headers: {authorization: x, \"a b\": y, Host: z}"},
		{"two bodies", "bodyFile: checks/row.json", "bodyFile: checks/row.json, body: \"{}\""},
		{"empty query", "promql: {query: up}", "promql: {query: \" \"}"},
		{"mlflow kind", "{alias: {model: m, name: champion}}", "{}"},
		{"mlflow kinds", "{alias: {model: m, name: champion}}", "{alias: {model: m}, run: {experiment: e, name: n}}"},
		{"mlflow status", "status: FAILED", "status: FAILD"},
		{"mlflow artifact", "{model: m, version: \"1\", path: a.json}", "{model: m, run: r, path: ../a.json}"},
		{"empty argv", "argv: [registry, --json]", "argv: []"},
		{"empty command", "argv: [registry, --json]", "argv: [\"\"]"},
		{"timeout", "timeout: 20s", "timeout: 20h"},
		{"variable", "with: {deploy:", "with: {De-ploy:"},
		{"variable is taken", "with: {deploy:", "with: {status:"},
		{"no expect", "expect: status == 200", "expect:"},
		{"values", "values: {found: status, expected: \"200\"}", "values: {fond: status, expected: \"200\"}"},
		{"value where", "values: {found: status, ", "values: {where: status, found: status, "},
		{"no fail", "fail: \"It is {found}, not {expected} ({where}).\"", "fail:"},
		{"placeholder", "It is {found}", "It is {fond}"},
		{"fail without when", "- {when: status == 0, nearMiss: alias,", "- {nearMiss: alias,"},
		{"last fail with when", "- {text: \"Status", "- {when: \"true\", text: \"Status"},
		{"unknown near-miss", "nearMiss: alias", "nearMiss: alais"},
		{"deadline", "deadline: 90s", "deadline: 90m"},
		{"interval", "interval: 3s", "interval: 3ms"},
		{"stable for longer than the deadline", "stableFor: 5s", "stableFor: 5m"},
		{"after unknown", "after: [DM1a]", "after: [DM1x]"},
		{"after itself", "after: [DM1a]", "after: [DM1b]"},
		{"after twice", "after: [DM1a]", "after: [DM1a, DM1a]"},
		{"circle", "id: DM1a\n", "id: DM1a\n        after: [DM2a]\n"},
		{"hint level", "level: 3, text: pin", "level: 4, text: pin"},
		{"hint level missing", "      - {level: 3, text: pin it}\n", ""},
		{"second hint of a level", "{level: 3, text: pin it}", "{level: 2, text: pin it}"},
		{"hint when", "when: alias, text", "when: alais, text"},
		{"hint when of another task", "when: DM1a, text", "when: DM2a, text"},
		{"step kinds", "- apply: solutions/pin.yaml", "- {apply: solutions/pin.yaml, exec: {argv: [a]}}"},
		{"empty step", "- apply: solutions/pin.yaml", "- {}"},
		{"apply outside", "- apply: solutions/pin.yaml", "- apply: solutions/../../pin.yaml"},
		{"apply no manifest", "- apply: solutions/pin.yaml", "- apply: solutions/pin.sh"},
		{"wait without expect", "expect: object != null, deadline", "deadline"},
		{"wait without probe", "- wait: {kube: {apiVersion: apps/v1, kind: Deployment, name: predictor}, ", "- wait: {"},
		{"base", "base: solved", "base: slved"},
		{"near-miss without checks", "mustFail: [DM1a]", "mustFail: []"},
		{"near-miss unknown check", "mustFail: [DM1a]", "mustFail: [DM1a, DM9a]"},
		{"near-miss contradicts itself", "mayFail: [DM1b]", "mayFail: [DM1a]"},
		{"near-miss twice", "id: stale", "id: alias"},
		{"near-miss without steps", "steps: [{exec: {argv: [bad]}}]", "steps: []"},
		{"alternative twice", "id: other", "id: helm"},
		{"fault contradicts itself", "mustPass: [DM2a]", "mustPass: [DM1a, DM1b]"},
		{"fault without symptoms", "symptoms: [errors]", "symptoms: []"},
		{"fault without checks", "fails: [DM1a]", "fails:"},
		{"fault unknown check", "fails: [DM1a]", "fails: [DM1]"},
		{"fault without fix", "fix: [{exec: {argv: [good]}}]", "fix: []"},
		{"fault hint gap", "{level: 2, text: look}", "{level: 3, text: look}"},
		{"question", "question: \"Why so?\"", "question: \"\""},
	}
	valid := withTasks(t)
	var b strings.Builder
	for _, tt := range tests {
		data := strings.Replace(valid, tt.old, tt.new, 1)
		if data == valid {
			t.Errorf("%s: the case changes nothing", tt.name)
		}
		_, err := Decode("demo/lab.yaml", []byte(data))
		var invalid *InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: got %v, want an InvalidError", tt.name, err)
			continue
		}
		b.WriteString("# " + tt.name + "\n" + err.Error() + "\n")
	}
	golden.Equal(t, []byte(b.String()), "task-errors.golden")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ data, want string }{
		"size":  {valid + "# " + strings.Repeat("x", MaxSize), "demo/lab.yaml: is larger than 1024 KiB"},
		"depth": {"a: " + strings.Repeat("[", 60) + strings.Repeat("]", 60), "is nested deeper than 32 levels"},
		"nodes": {"a: [" + strings.Repeat("1,", maxNodes) + "]", "has more than 50000 values"},
		"abyss": {"a: " + strings.Repeat("[", 400_000), "exceeded max depth"},
	} {
		_, err := Decode("demo/lab.yaml", []byte(tt.data))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	data := strings.Replace(withTasks(t), "expect: n > 0", "expect: |\n          n > 0 &&\n            n < 2", 1)
	_, places, err := DecodeWithPlaces("lab.yaml", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(data, "\n")
	for field, want := range map[string]string{
		"tasks[0].brief":                  "brief: tasks/pin.md",
		"tasks[0].checks[1].with.deploy":  "deploy: {kube",
		"tasks[0].checks[1].fail[0].text": "fail: \"It is {found}",
		"faults[0].nothing":               "id: gone",
	} {
		line, column := places.Find(field)
		if got := lines[line-1][column-1:]; !strings.HasPrefix(got, want) {
			t.Errorf("%s is at %q, want %q", field, got, want)
		}
	}
	for field, want := range map[string]string{
		"tasks[0].checks[0].expect":          "atus == 200",
		"tasks[0].checks[1].values.expected": "'\"}",
		"tasks[1].checks[0].expect":          "          n > 0 &&",
	} {
		line, column := places.Inside(field, 1, 3)
		if got := lines[line-1][column-1:]; !strings.HasPrefix(got, want) {
			t.Errorf("the third character of %s is at %q, want %q", field, got, want)
		}
	}
}
