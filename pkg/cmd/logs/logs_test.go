package logs

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want engine.LogsOptions
		code int
	}{
		"a lab":       {args: []string{"x"}, want: engine.LogsOptions{Lab: "x", Tail: 50}},
		"a component": {args: []string{"x", "mlflow", "-f", "--tail", "-1"}, want: engine.LogsOptions{Lab: "x", Component: "mlflow", Follow: true, Tail: -1}},
		"another cluster": {
			args: []string{"x", "--context", "c"}, want: engine.LogsOptions{Lab: "x", Tail: 50, Target: engine.Target{Context: "c"}},
		},
		"none":     {code: clierr.CodeUsage},
		"too many": {args: []string{"x", "y", "z"}, code: clierr.CodeUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got engine.LogsOptions
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = o.Logs
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

// fake is an engine that logs one line.
type fake struct{ err error }

func (f fake) Logs(_ context.Context, o engine.LogsOptions) error {
	_, err := fmt.Fprintf(o.Out, "%s says hello\n", o.Component)
	return errors.Join(err, f.err)
}

func TestRun(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]struct {
		fake    fake
		factory error
		want    string
		err     error
	}{
		"a line":    {want: "mlflow says hello\n"},
		"cut off":   {fake: fake{broken}, want: "mlflow says hello\n", err: broken},
		"no engine": {factory: broken, err: broken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, errOut := iostreams.Test()
			o := &Options{
				IO: streams, Logs: engine.LogsOptions{Lab: "x", Component: "mlflow"},
				Engine: func() (Logger, error) { return tt.fake, tt.factory },
			}
			if err := run(t.Context(), o); !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if out.String() != tt.want || errOut.Len() > 0 {
				t.Errorf("stdout %q, stderr %q", out, errOut)
			}
		})
	}
}
