package up

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Up      engine.UpOptions
	Timeout cmdutil.Timeout
	Output  ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Up, o.Timeout, o.Output} }, map[string]cmdtest.Line[given]{
		"a lab": {Args: []string{"model-registry"}, Want: given{Up: engine.UpOptions{Lab: "model-registry"}, Output: ui.Text}},
		"another cluster": {
			Args: []string{"x", "--kubeconfig", "k.yaml", "--context", "c", "--registry", "r.example.com/labs"},
			Want: given{
				Up:     engine.UpOptions{Lab: "x", Target: engine.Target{Kubeconfig: "k.yaml", Context: "c", Registry: "r.example.com/labs"}},
				Output: ui.Text,
			},
		},
		"ignore and JSON": {
			Args: []string{"x", "--ignore", "memory,cpu", "--ignore", "disk", "-o", "json"},
			Want: given{Up: engine.UpOptions{Lab: "x", Ignore: []string{"memory", "cpu", "disk"}}, Output: ui.JSON},
		},
		"timeout": {
			Args: []string{"x", "--timeout", "10m"},
			Want: given{Up: engine.UpOptions{Lab: "x"}, Timeout: cmdutil.Timeout(10 * time.Minute), Output: ui.Text},
		},
		"no lab":   {Code: clierr.CodeUsage},
		"two labs": {Args: []string{"x", "y"}, Code: clierr.CodeUsage},
	})
}

// fake is an engine with a fixed answer.
type fake struct {
	res *engine.UpResult
	err error
}

func (f fake) Up(_ context.Context, _ engine.UpOptions, sink ui.Sink) (*engine.UpResult, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "cluster", Title: "Cluster"})
	return f.res, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	fresh := engine.UpResult{
		Lab: "model-registry", Title: "Model registry", Namespace: "lab-model-registry", Target: "local cluster", Changed: true,
		Endpoints: []engine.Endpoint{
			{Name: "mlflow", Title: "MLflow UI", Command: "labctl open model-registry mlflow"},
			{Name: "s3", Title: "S3 API", Command: "labctl open model-registry s3"},
		},
		Next:  "Open MLflow.\nLook at the runs.\n",
		Steps: []engine.Timing{{Step: "preflight", Seconds: 0.25}, {Step: "release", Seconds: 1.5, Skipped: true}},
	}
	again := engine.UpResult{
		Lab: "model-registry", Title: "Model registry", Namespace: "lab-model-registry", Target: "context c", Newer: true,
		Endpoints: []engine.Endpoint{}, Steps: []engine.Timing{},
		NotReady: []kube.WorkloadStatus{{
			Kind: "StatefulSet", Name: "postgres", Failed: true, Reason: "CrashLoopBackOff", Message: "postgres crashes (exit code 1)",
			Pod: "postgres-0", Container: "postgres", Restarts: 3,
		}},
	}
	tests := map[string]struct {
		res    engine.UpResult
		output ui.Format
	}{
		"fresh.txt":  {fresh, ui.Text},
		"fresh.json": {fresh, ui.JSON},
		"again.txt":  {again, ui.Text},
		"again.json": {again, ui.JSON},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{
				IO: s.IO, Output: tt.output, Console: s.Console,
				Engine: func() (Upper, error) { return fake{res: &tt.res}, nil },
			}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
			s.WantErrOut(t, "==> Cluster")
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]func() (Upper, error){
		"no engine": func() (Upper, error) { return nil, broken },
		"no lab":    func() (Upper, error) { return fake{err: broken}, nil },
	}
	for name, engine := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Console: s.Console, Engine: engine}
			if err := run(t.Context(), o); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			s.WantOut(t, "")
		})
	}
}

// slow is an engine that needs all the time it gets.
type slow struct{}

func (slow) Up(ctx context.Context, _ engine.UpOptions, sink ui.Sink) (*engine.UpResult, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "cluster", Title: "Cluster"})
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := cmdtest.NewStreams()
		o := &Options{
			IO: s.IO, Console: s.Console, Engine: func() (Upper, error) { return slow{}, nil },
			Up: engine.UpOptions{Lab: "model-registry"}, Timeout: cmdutil.Timeout(10 * time.Minute),
		}
		d := clierr.Describe(run(t.Context(), o))
		if d.Error != "up model-registry: --timeout 10m ran out during: Cluster" || d.Code != clierr.CodeFailed || d.Hint == "" {
			t.Errorf("error %+v", d)
		}
		s.WantOut(t, "")
	})
}
