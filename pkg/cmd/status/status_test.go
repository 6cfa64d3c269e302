package status

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/kube"
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
	tests := map[string]struct {
		args []string
		want given
		code int
	}{
		"all":             {want: given{Output: ui.Text}},
		"a lab":           {args: []string{"x"}, want: given{Lab: "x", Output: ui.Text}},
		"another cluster": {args: []string{"x", "--kubeconfig", "k", "-o", "json"}, want: given{"x", engine.Target{Kubeconfig: "k"}, ui.JSON}},
		"two labs":        {args: []string{"x", "y"}, code: clierr.CodeUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got given
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = given{o.Lab, o.Target, o.Output}
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

// fake is an engine with a fixed answer.
type fake struct {
	res *engine.Status
	err error
}

func (f fake) Status(context.Context, string, engine.Target) (*engine.Status, error) {
	return f.res, f.err
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
			streams, _, out, errOut := iostreams.Test()
			o := &Options{IO: streams, Lab: tt.lab, Output: tt.output, Engine: func() (Stater, error) { return fake{res: &tt.res}, nil }}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, out.Bytes(), name)
			if errOut.Len() > 0 {
				t.Errorf("stderr has %q", errOut)
			}
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
			streams, _, out, _ := iostreams.Test()
			if err := run(t.Context(), &Options{IO: streams, Engine: engine}); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			if out.Len() > 0 {
				t.Errorf("stdout has %q", out)
			}
		})
	}
}
