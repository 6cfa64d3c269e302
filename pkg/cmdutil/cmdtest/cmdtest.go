// Package cmdtest is what the tests of commands share: command lines and the
// options that they must give, and runs whose streams are buffers. It is for
// tests only.
package cmdtest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Constructor is the NewCmd of a command with options O.
type Constructor[O any] = func(f *cmdutil.Factory, runF func(context.Context, *O) error) *cobra.Command

// Line is a command line and what must come of it: options, or an exit code and
// advice.
type Line[G any] struct {
	Args []string
	Want G
	Code int
}

// Lines tests command lines. given picks what the command line gives from the
// options, which also hold functions that can't be compared.
func Lines[O, G any](t *testing.T, newCmd Constructor[O], given func(*O) G, lines map[string]Line[G]) {
	t.Helper()
	for name, line := range lines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := Parse(t, newCmd, line.Args...)
			if code := clierr.Code(err); code != line.Code {
				t.Fatalf("exit code %d, want %d: %v", code, line.Code, err)
			}
			if err != nil {
				if clierr.Describe(err).Hint == "" {
					t.Errorf("no hint: %v", err)
				}
				return
			}
			if diff := cmp.Diff(line.Want, given(o)); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

// Parse gives the options with which a command line would begin its work.
func Parse[O any](t *testing.T, newCmd Constructor[O], args ...string) (*O, error) {
	t.Helper()
	streams, _, _, _ := iostreams.Test()
	var got *O
	cmd := newCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *O) error {
		got = o
		return nil
	})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{}, args...)) // nil means those of the process
	err := cmd.ExecuteContext(t.Context())
	return got, err
}

// Streams are those of one run, on buffers.
type Streams struct {
	IO              *iostreams.Streams
	In, Out, ErrOut *bytes.Buffer
}

// NewStreams makes Streams that are no terminal.
func NewStreams() *Streams {
	s := &Streams{}
	s.IO, s.In, s.Out, s.ErrOut = iostreams.Test()
	return s
}

// Console makes a console on the streams.
func (s *Streams) Console() *ui.Console { return ui.NewConsole(s.IO, false) }

// WantOut compares stdout with a golden file; without a name there must be
// nothing on it.
func (s *Streams) WantOut(t *testing.T, name string) {
	t.Helper()
	switch {
	case name != "":
		golden.Equal(t, s.Out.Bytes(), name)
	case s.Out.Len() > 0:
		t.Errorf("stdout has %q", s.Out)
	}
}

// WantErrOut looks for texts on stderr; without any there must be nothing on it.
func (s *Streams) WantErrOut(t *testing.T, texts ...string) {
	t.Helper()
	if len(texts) == 0 && s.ErrOut.Len() > 0 {
		t.Errorf("stderr has %q", s.ErrOut)
	}
	for _, text := range texts {
		if !strings.Contains(s.ErrOut.String(), text) {
			t.Errorf("no %q on stderr: %q", text, s.ErrOut)
		}
	}
}
