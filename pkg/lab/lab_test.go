package lab

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/internal/golden"
)

// valid is a complete lab; tests change one thing in it.
const valid = `apiVersion: labctl.dev/v1alpha1
kind: Lab
metadata:
  name: demo
  title: Demo
  promise: "Do: this"
  level: 2
  minutes: 50
layer: {mlops: [serving], topics: [model serving]}
analogies:
  - {know: a, new: b}
components: [postgres, mlflow]
requires: {memoryMi: 1800, cpu: 2, clusterOptional: [metrics-server]}
seed: {value: 7, clock: "2013-04-01"}
endpoints:
  - {name: mlflow, service: mlflow, port: 5000}
  - name: s3
    title: S3 API
    service: objectstore
    port: 7070
    path: /data
next: |
  Open MLflow.
`

func TestDecode(t *testing.T) {
	t.Parallel()
	got, err := Decode("lab.yaml", []byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	want := &Lab{
		APIVersion: APIVersion, Kind: Kind,
		Metadata:   Metadata{Name: "demo", Title: "Demo", Promise: "Do: this", Level: 2, Minutes: 50},
		Layer:      Layer{MLOps: []string{"serving"}, Topics: []string{"model serving"}},
		Analogies:  []Analogy{{Know: "a", New: "b"}},
		Components: []string{"postgres", "mlflow"},
		Requires:   Requires{MemoryMi: 1800, CPU: 2, ClusterOptional: []string{"metrics-server"}},
		Seed:       &Seed{Value: 7, Clock: "2013-04-01"},
		Endpoints: []Endpoint{
			{Name: "mlflow", Title: "mlflow", Service: "mlflow", Port: 5000, Path: "/"},
			{Name: "s3", Title: "S3 API", Service: "objectstore", Port: 7070, Path: "/data"},
		},
		Next: "Open MLflow.\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if e, ok := got.Endpoint("s3"); !ok || e.Port != 7070 {
		t.Error(e, ok)
	}
	if _, ok := got.Endpoint("s4"); ok {
		t.Error("found an endpoint that is not there")
	}
}

// TestDecodeErrors compares every message with a golden file, because they are
// what an author works with.
func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, old, new string }{
		{"unknown field with near match", "port: 5000", "prt: 5000"},
		{"unknown field", "kind: Lab", "kind: Lab\nquux: 1"},
		{"field twice", "kind: Lab", "kind: Lab\nkind: Lab"},
		{"not a list", "components: [postgres, mlflow]", "components: postgres"},
		{"not a mapping", "seed: {value: 7, clock: \"2013-04-01\"}", "seed: [7]"},
		{"not a number", "level: 2", "level: two"},
		{"not a whole number", "minutes: 50", "minutes: 50.5"},
		{"text needs quotes", "clock: \"2013-04-01\"", "clock: 2013-04-01"},
		{"alias", "  title: Demo\n  promise: \"Do: this\"", "  title: &t Demo\n  promise: *t"},
		{"control characters", "title: Demo", `title: "De\e[31mmo"`},
		{"control characters in a field", "kind: Lab", "\"a\\e[31m\": b\nkind: Lab"},
		{"syntax", "kind: Lab", "kind: Lab: x"},
		{"tab", "  name: demo", "\tname: demo"},
		{"empty", valid, ""},
		{"comment only", valid, "# nothing\n"},
		{"second document", "  Open MLflow.\n", "  Open MLflow.\n---\nkind: Lab\n"},
		{"scalar document", valid, "hello\n"},
		{"everything missing", valid, "{}\n"},
		{"null section", "metadata:\n", "metadata:\nlayer2:\n"},
		{"wrong version", "v1alpha1", "v2"},
		{"name too long", "name: demo", "name: " + strings.Repeat("a", 41)},
		{"name with dots", "name: demo", "name: ../demo"},
		{"level out of range", "level: 2", "level: 5"},
		{"negative", "cpu: 2", "cpu: -1"},
		{"port out of range", "port: 7070", "port: 70000"},
		{"path without slash", "path: /data", "path: data"},
		{"endpoint twice", "name: s3", "name: mlflow"},
		{"component twice", "[postgres, mlflow]", "[postgres, postgres]"},
		{"unknown cluster part", "metrics-server", "metric-server"},
		{"bad day", "2013-04-01", "2013-04-31"},
		{"two lines", "title: S3 API", "title: \"S3\\nAPI\""},
		{"several", "  level: 2\n  minutes: 50", "  level: 9\n  minutes: 0"},
	}
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
	golden.Equal(t, []byte(b.String()), "errors.golden")
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"demo": true, "model-registry": true, "l2": true, strings.Repeat("a", 40): true,
		"": false, "-a": false, "a-": false, "A": false, "a.b": false, "a/b": false, "a\n": false, strings.Repeat("a", 41): false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(withTasks(f)))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Decode("lab.yaml", data)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		if !ValidName(l.Metadata.Name) {
			t.Errorf("accepted the name %q", l.Metadata.Name)
		}
		// What was accepted stays acceptable: defaults are valid too.
		if err := l.Validate(); err != nil {
			t.Error(err)
		}
	})
}
