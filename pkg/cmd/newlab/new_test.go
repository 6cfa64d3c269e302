package newlab

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/config"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Lab, Dir string
	Output   ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want given
		code int
	}{
		"a name":     {args: []string{"lab", "x"}, want: given{"x", "", ui.Text}},
		"all":        {args: []string{"lab", "x", "--dir", "labs", "-o", "json"}, want: given{"x", "labs", ui.JSON}},
		"no name":    {args: []string{"lab"}, code: clierr.CodeUsage},
		"two names":  {args: []string{"lab", "x", "y"}, code: clierr.CodeUsage},
		"no such":    {args: []string{"x"}, code: clierr.CodeUsage},
		"no command": {args: nil, want: given{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got given
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = given{o.Lab, o.Dir, o.Output}
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetOut(streams.Out)
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, output := range map[string]ui.Format{"new.txt": ui.Text, "new.json": ui.JSON} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			streams, _, out, _ := iostreams.Test()
			o := &Options{IO: streams, Lab: "my-lab", Output: output, Config: func() (*config.Config, error) {
				c := &config.Config{}
				c.LabsDir.Set(dir, config.Flag)
				return c, nil
			}}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, bytes.ReplaceAll(out.Bytes(), []byte(filepath.ToSlash(dir)), []byte("labs")), name)

			o.Dir = dir // the same place
			if err := run(t.Context(), o); clierr.Code(err) != clierr.CodeUsage {
				t.Errorf("a lab was written over: %v", err)
			}
		})
	}
}

func TestBadName(t *testing.T) {
	t.Parallel()
	streams, _, _, _ := iostreams.Test()
	if err := run(t.Context(), &Options{IO: streams, Lab: "My lab", Dir: t.TempDir()}); clierr.Code(err) != clierr.CodeUsage {
		t.Errorf("error %v", err)
	}
}
