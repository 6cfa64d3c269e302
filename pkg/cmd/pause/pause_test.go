package pause

import (
	"context"
	"errors"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/ui"
)

// both are the two commands.
func both() map[string]cmdtest.Constructor[Options] {
	return map[string]cmdtest.Constructor[Options]{"paused": NewCmd, "resumed": NewResumeCmd}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for name, newCmd := range both() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmdtest.Lines(t, newCmd, func(*Options) bool { return true }, map[string]cmdtest.Line[bool]{
				"none":        {Want: true},
				"an argument": {Args: []string{"x"}, Code: clierr.CodeUsage},
			})
		})
	}
}

// fake is an engine that fails, or does one thing.
type fake struct {
	title string
	err   error
}

func (f *fake) Pause(_ context.Context, sink ui.Sink) error  { return f.do(sink, "paused") }
func (f *fake) Resume(_ context.Context, sink ui.Sink) error { return f.do(sink, "resumed") }

func (f *fake) do(sink ui.Sink, title string) error {
	f.title = title
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "cluster", Title: "Cluster"})
	return f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, newCmd := range both() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := cmdtest.Parse(t, newCmd)
			if err != nil {
				t.Fatal(err)
			}
			f, s := &fake{}, cmdtest.NewStreams()
			o.IO, o.Console, o.Engine = s.IO, s.Console, func() (Pauser, error) { return f, nil }
			if err := run(t.Context(), o); err != nil || f.title != name {
				t.Fatalf("%s: %v", f.title, err)
			}
			s.WantOut(t, name+".txt")
			s.WantErrOut(t, "==> Cluster")

			s.Out.Reset()
			f.err = broken
			if err := run(t.Context(), o); !errors.Is(err, broken) {
				t.Errorf("without a cluster: %v", err)
			}
			o.Engine = func() (Pauser, error) { return nil, broken }
			if err := run(t.Context(), o); !errors.Is(err, broken) {
				t.Errorf("without an engine: %v", err)
			}
			s.WantOut(t, "")
		})
	}
}
