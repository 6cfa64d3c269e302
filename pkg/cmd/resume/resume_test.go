package resume

import (
	"context"
	"errors"
	"strings"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		code int
	}{"none": {}, "an argument": {args: []string{"x"}, code: clierr.CodeUsage}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			ran := false
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(context.Context, *Options) error {
				ran = true
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code || ran != (tt.code == 0) {
				t.Errorf("ran %v, exit code %d, want %d: %v", ran, clierr.Code(err), tt.code, err)
			}
		})
	}
}

// fake is an engine with a fixed answer.
type fake struct{ err error }

func (f fake) Resume(_ context.Context, sink ui.Sink) error {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "cluster", Title: "Cluster"})
	return f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	streams, _, out, errOut := iostreams.Test()
	console := func() *ui.Console { return ui.NewConsole(streams, false) }
	if err := run(t.Context(), &Options{IO: streams, Console: console, Engine: func() (Resumer, error) { return fake{}, nil }}); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, out.Bytes(), "done.txt")
	if !strings.Contains(errOut.String(), "==> Cluster") {
		t.Errorf("no progress on stderr: %q", errOut)
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, engine := range map[string]func() (Resumer, error){
		"no engine":  func() (Resumer, error) { return nil, broken },
		"no cluster": func() (Resumer, error) { return fake{broken}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, _ := iostreams.Test()
			o := &Options{IO: streams, Console: func() *ui.Console { return ui.NewConsole(streams, false) }, Engine: engine}
			if err := run(t.Context(), o); !errors.Is(err, broken) || out.Len() > 0 {
				t.Errorf("error %v, stdout %q", err, out)
			}
		})
	}
}
