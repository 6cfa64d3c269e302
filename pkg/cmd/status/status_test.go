package status

import (
	"context"
	"errors"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Lab    string
	Target engine.Target
	Output ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Lab, o.Target, o.Output} }, map[string]cmdtest.Line[given]{
		"all":             {Want: given{Output: ui.Text}},
		"a lab":           {Args: []string{"x"}, Want: given{Lab: "x", Output: ui.Text}},
		"another cluster": {Args: []string{"x", "--kubeconfig", "k", "-o", "json"}, Want: given{"x", engine.Target{Kubeconfig: "k"}, ui.JSON}},
		"two labs":        {Args: []string{"x", "y"}, Code: clierr.CodeUsage},
	})
}

// fake is an engine with a fixed answer.
type fake struct {
	res *engine.Status
	err error
}

func (f fake) Status(context.Context, string, engine.Target) (*engine.Status, error) {
	return f.res, f.err
}

// tasker knows the tasks of one lab.
type tasker struct{ view practice.Overview }

func (k tasker) Tasks(_ context.Context, lab string, _ engine.Target) (*practice.Overview, error) {
	if lab != "model-registry" {
		return nil, errors.New("no history")
	}
	return &k.view, nil
}

func overview() practice.Overview {
	return practice.Overview{
		Tasks: []progress.TaskScore{
			{ID: "register", Title: "Register the run you would defend", State: progress.TaskPassed, Passed: true, Earned: 12, Now: 10, Max: 12, Reachable: 12, Lost: []string{"MR1c"}},
			{ID: "aliases", Title: "Aliases carry the lifecycle", State: progress.TaskRegressed, Passed: true, Regressed: true, Earned: 8, Now: 3, Max: 8, Reachable: 8, Lost: []string{"MR2a"}},
			{ID: "pin", Title: "Pin the deployment", State: progress.TaskSolved, Passed: true, Solved: true, Max: 14},
			{ID: "promote", Title: "Promotion as code", State: progress.TaskOpen, Max: 16, Reachable: 16},
		},
		Score: practice.Score{Earned: 20, Max: 50, BonusMax: 24},
		Fault: &practice.FaultReport{ID: "registry-down", Story: "Registry is down. Are we down?", Injected: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)},
		Next:  &practice.Next{Command: "labctl check model-registry", Text: "tells when the fault is repaired"},
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	one := engine.LabStatus{
		Lab: "model-registry", Target: "local cluster", Namespace: "lab-model-registry", State: "not ready", Release: "deployed", Newer: true,
		Workloads: []kube.WorkloadStatus{
			{Kind: "Deployment", Name: "mlflow", Message: "waits for postgres"},
			{Kind: "Deployment", Name: "workbench", Ready: true},
			{Kind: "StatefulSet", Name: "postgres", Failed: true, Reason: "ImagePullBackOff", Message: "the image is not there", Pod: "postgres-0", Container: "postgres", Restarts: 2},
		},
		Endpoints: []engine.Endpoint{{Name: "mlflow", Title: "MLflow UI", Command: "labctl open model-registry mlflow"}},
	}
	other := engine.LabStatus{
		Lab: "serving", Target: "context c", Namespace: "lab-serving", State: "ready", Release: "deployed",
		Workloads: []kube.WorkloadStatus{{Kind: "Job", Name: "seed", Ready: true}}, Endpoints: []engine.Endpoint{},
	}
	all := engine.Status{Cluster: "running", Labs: []engine.LabStatus{one, other}}
	none := engine.Status{Cluster: "absent", Labs: []engine.LabStatus{}}
	tests := map[string]struct {
		lab    string
		res    engine.Status
		output ui.Format
	}{
		"all.txt":   {"", all, ui.Text},
		"all.json":  {"", all, ui.JSON},
		"one.txt":   {"model-registry", engine.Status{Cluster: "running", Labs: []engine.LabStatus{one}}, ui.Text},
		"other.txt": {"serving", engine.Status{Labs: []engine.LabStatus{other}}, ui.Text},
		"none.txt":  {"", none, ui.Text},
		"none.json": {"", none, ui.JSON},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Lab: tt.lab, Output: tt.output, Engine: func() (Stater, error) { return fake{res: &tt.res}, nil }, Practice: func() (Tasker, error) { return tasker{overview()}, nil }}
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
	broken := errors.New("broken")
	tests := map[string]func() (Stater, error){
		"no engine": func() (Stater, error) { return nil, broken },
		"no answer": func() (Stater, error) { return fake{err: broken}, nil },
	}
	for name, engine := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			if err := run(t.Context(), &Options{IO: s.IO, Engine: engine}); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			s.WantOut(t, "")
		})
	}
}
