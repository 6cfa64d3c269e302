package task

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Lab, Task string
	Output    ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Lab, o.Task, o.Output} }, map[string]cmdtest.Line[given]{
		"a lab":       {Args: []string{"x"}, Want: given{Lab: "x", Output: ui.Text}},
		"a task":      {Args: []string{"x", "pin", "-o", "json"}, Want: given{"x", "pin", ui.JSON}},
		"nothing":     {Code: clierr.CodeUsage},
		"three names": {Args: []string{"x", "y", "z"}, Code: clierr.CodeUsage},
	})
}

const labYAML = `
apiVersion: labctl.dev/v1alpha1
kind: Lab
metadata: {name: x, title: X, promise: Do X, level: 2, minutes: 50}
layer: {mlops: [model registry], topics: [model registries]}
analogies: [{know: a, new: b}]
components: [mlflow]
requires: {memoryMi: 100, cpu: 1}
next: Look around.
tasks:
`

const taskYAML = `
  - id: ID
    title: The ID task
    why: On-call asks.
    brief: tasks/ID.md
    names: [Deployment/predictor]
    checks:
      - {id: CHECK, points: 8, kube: {apiVersion: apps/v1, kind: Deployment, name: predictor}, expect: "true", values: {found: "1", expected: "2"}, fail: "no", why: y, look: kubectl get pods}
    hints: [{level: 1, text: a}, {level: 2, text: b}, {level: 3, text: c}]
    solution: [{exec: {argv: [a]}}]
`

func files() fstest.MapFS {
	yaml := labYAML
	for id, check := range map[string]string{"pin": "XX1a"} {
		yaml += strings.NewReplacer("ID", id, "CHECK", check).Replace(taskYAML)
	}
	yaml += strings.NewReplacer("ID", "roll", "CHECK", "XX2a").Replace(taskYAML)
	return fstest.MapFS{
		"x/lab.yaml":      {Data: []byte(yaml)},
		"x/tasks/pin.md":  {Data: []byte("# Pin the deployment\n\nDeployment `predictor` serves\nthe model.\n\n1. Pin it.\n")},
		"x/tasks/roll.md": {Data: []byte("# Roll back\n")},
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		task   string
		tty    bool
		output ui.Format
	}{
		"plain.txt":    {"pin", false, ui.Text},
		"terminal.txt": {"pin", true, ui.Text},
		"pin.json":     {"pin", false, ui.JSON},
		"current.txt":  {"", false, ui.Text}, // pin has passed
	}
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store, err := progress.Open(dir, "x", "one", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), func(r *progress.Record) error {
		r.Tasks = map[string]progress.TaskRecord{"pin": {Best: 8, Passed: time.Now()}}
		r.Checks = map[string]progress.CheckRecord{"XX1a": {Passing: true, FirstPassed: time.Now(), Seen: time.Now()}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			s.IO.SetTTY(tt.tty)
			o := &Options{
				IO: s.IO, Lab: "x", Task: tt.task, Output: tt.output, State: func() (*state.Dir, error) { return dir, nil },
				Catalog: func() (*catalog.Catalog, error) { return catalog.New(files()), nil },
			}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
			s.WantErrOut(t)
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lab, task string
		remove    string
		want      string
	}{
		"no such lab":  {lab: "y", want: `there is no lab "y"`},
		"no such task": {lab: "x", task: "pim", want: `x has no task "pim"; did you mean pin?`},
		"no brief":     {lab: "x", task: "pin", remove: "x/tasks/pin.md", want: "read the brief of pin"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := files()
			delete(fsys, tt.remove)
			s := cmdtest.NewStreams()
			err := run(t.Context(), &Options{
				IO: s.IO, Lab: tt.lab, Task: tt.task, Output: ui.Text, Catalog: func() (*catalog.Catalog, error) { return catalog.New(fsys), nil },
			})
			if err == nil {
				t.Fatal("no error")
			}
			if d := clierr.Describe(err); d.Code != clierr.CodeUsage || !strings.Contains(d.Error, tt.want) || d.Hint == "" {
				t.Errorf("error %+v", d)
			}
			s.WantOut(t, "")
		})
	}
}
