package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/kube"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) engine.ShellOptions { return o.Shell }, map[string]cmdtest.Line[engine.ShellOptions]{
		"no lab":    {Code: clierr.CodeUsage},
		"a shell":   {Args: []string{"x"}, Want: engine.ShellOptions{Lab: "x", Argv: []string{}}},
		"a command": {Args: []string{"x", "--", "mlflow", "runs", "--help"}, Want: engine.ShellOptions{Lab: "x", Argv: []string{"mlflow", "runs", "--help"}}},
		"another cluster": {
			Args: []string{"x", "--context", "c", "--", "ls"},
			Want: engine.ShellOptions{Lab: "x", Argv: []string{"ls"}, Target: engine.Target{Context: "c"}},
		},
	})
}

// fake is a workbench that repeats what it reads.
type fake struct {
	err error
	tty bool
}

func (f *fake) Shell(_ context.Context, o engine.ShellOptions) error {
	f.tty = o.TTY
	if _, err := io.Copy(o.Out, o.In); err != nil {
		return err
	}
	_, err := fmt.Fprint(o.ErrOut, "complaint")
	return errors.Join(err, f.err)
}

func TestRun(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]struct {
		argv []string
		tty  bool
		err  error
		code int
	}{
		"a pipe":                  {},
		"a command at a terminal": {argv: []string{"ls"}, tty: true},
		"exit code":               {argv: []string{"false"}, err: fmt.Errorf("exec: %w", &kube.ExitError{Command: "false", Code: 42}), code: 42},
		"failure":                 {argv: []string{"ls"}, err: broken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			s.IO.SetTTY(tt.tty)
			s.In.WriteString("hello")
			f := &fake{err: tt.err}
			o := &Options{IO: s.IO, Shell: engine.ShellOptions{Lab: "x", Argv: tt.argv}, Engine: func() (Sheller, error) { return f, nil }}
			err := run(t.Context(), o)
			var reported *cmdutil.ReportedError
			switch {
			case tt.code != 0:
				if !errors.As(err, &reported) || reported.Code != tt.code {
					t.Errorf("error %v, want code %d", err, tt.code)
				}
			case !errors.Is(err, tt.err):
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if s.Out.String() != "hello" || s.ErrOut.String() != "complaint" || f.tty {
				t.Errorf("stdout %q, stderr %q, terminal %v", s.Out, s.ErrOut, f.tty)
			}
		})
	}
}

func TestRunWithoutEngineOrTerminal(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := cmdtest.NewStreams()
	o := &Options{IO: s.IO, Engine: func() (Sheller, error) { return nil, broken }}
	if err := run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	// A shell takes the terminal over, which a buffer is not.
	s.IO.SetTTY(true)
	o.Engine = func() (Sheller, error) { return &fake{}, nil }
	if err := run(t.Context(), o); err == nil {
		t.Error("a buffer became a terminal")
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	in := make(chan iostreams.Size, 1)
	out := convert(in)
	in <- iostreams.Size{Width: 80, Height: 24}
	close(in)
	if got := <-out; got != (kube.Size{Width: 80, Height: 24}) {
		t.Errorf("got %v", got)
	}
	if _, open := <-out; open {
		t.Error("still open")
	}
}
