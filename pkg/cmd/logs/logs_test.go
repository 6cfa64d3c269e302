package logs

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) engine.LogsOptions { return o.Logs }, map[string]cmdtest.Line[engine.LogsOptions]{
		"a lab":       {Args: []string{"x"}, Want: engine.LogsOptions{Lab: "x", Tail: 50}},
		"a component": {Args: []string{"x", "mlflow", "-f", "--tail", "-1"}, Want: engine.LogsOptions{Lab: "x", Component: "mlflow", Follow: true, Tail: -1}},
		"another cluster": {
			Args: []string{"x", "--context", "c"}, Want: engine.LogsOptions{Lab: "x", Tail: 50, Target: engine.Target{Context: "c"}},
		},
		"none":     {Code: clierr.CodeUsage},
		"too many": {Args: []string{"x", "y", "z"}, Code: clierr.CodeUsage},
	})
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
			s := cmdtest.NewStreams()
			o := &Options{
				IO: s.IO, Logs: engine.LogsOptions{Lab: "x", Component: "mlflow"},
				Engine: func() (Logger, error) { return tt.fake, tt.factory },
			}
			if err := run(t.Context(), o); !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if s.Out.String() != tt.want || s.ErrOut.Len() > 0 {
				t.Errorf("stdout %q, stderr %q", s.Out, s.ErrOut)
			}
		})
	}
}
