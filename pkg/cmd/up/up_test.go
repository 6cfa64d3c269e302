package up

import (
	"context"
	"errors"
	"strings"
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

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args   []string
		want   engine.UpOptions
		output ui.Format
		code   int
	}{
		"a lab": {args: []string{"model-registry"}, want: engine.UpOptions{Lab: "model-registry"}, output: ui.Text},
		"another cluster": {
			args:   []string{"x", "--kubeconfig", "k.yaml", "--context", "c", "--registry", "r.example.com/labs"},
			want:   engine.UpOptions{Lab: "x", Target: engine.Target{Kubeconfig: "k.yaml", Context: "c", Registry: "r.example.com/labs"}},
			output: ui.Text,
		},
		"ignore and JSON": {
			args:   []string{"x", "--ignore", "memory,cpu", "--ignore", "disk", "-o", "json"},
			want:   engine.UpOptions{Lab: "x", Ignore: []string{"memory", "cpu", "disk"}},
			output: ui.JSON,
		},
		"no lab":   {code: clierr.CodeUsage},
		"two labs": {args: []string{"x", "y"}, code: clierr.CodeUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got *Options
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = o
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if tt.code != 0 {
				return
			}
			if diff := cmp.Diff(tt.want, got.Up); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if got.Output != tt.output {
				t.Errorf("output %q, want %q", got.Output, tt.output)
			}
		})
	}
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
			streams, _, out, errOut := iostreams.Test()
			o := &Options{
				IO: streams, Output: tt.output, Console: func() *ui.Console { return ui.NewConsole(streams, false) },
				Engine: func() (Upper, error) { return fake{res: &tt.res}, nil },
			}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, out.Bytes(), name)
			if !strings.Contains(errOut.String(), "==> Cluster") {
				t.Errorf("no progress on stderr: %q", errOut)
			}
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
			streams, _, out, _ := iostreams.Test()
			o := &Options{IO: streams, Console: func() *ui.Console { return ui.NewConsole(streams, false) }, Engine: engine}
			if err := run(t.Context(), o); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			if out.Len() > 0 {
				t.Errorf("stdout has %q", out)
			}
		})
	}
}
