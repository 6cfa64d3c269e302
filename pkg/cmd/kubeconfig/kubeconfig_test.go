package kubeconfig

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
)

// given is the part of the options that the command line gives.
type given struct {
	Lab         string
	Target      engine.Target
	Path, Merge bool
	Into        string
}

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want given
		code int
	}{
		"a lab":           {args: []string{"x"}, want: given{Lab: "x"}},
		"path":            {args: []string{"x", "--path"}, want: given{Lab: "x", Path: true}},
		"merge":           {args: []string{"x", "--merge", "--into", "f"}, want: given{Lab: "x", Merge: true, Into: "f"}},
		"another cluster": {args: []string{"x", "--kubeconfig", "k"}, want: given{Lab: "x", Target: engine.Target{Kubeconfig: "k"}}},
		"no lab":          {code: clierr.CodeUsage},
		"two labs":        {args: []string{"x", "y"}, code: clierr.CodeUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got given
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = given{o.Lab, o.Target, o.Path, o.Merge, o.Into}
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
type fake struct{ err error }

func (f fake) Kubeconfig(context.Context, string, engine.Target) (*engine.Kubeconfig, error) {
	return &engine.Kubeconfig{File: "/state/labctl-x.kubeconfig", Content: []byte("apiVersion: v1\nkind: Config\n")}, f.err
}

func (f fake) MergeKubeconfig(_ context.Context, lab string, _ engine.Target, into string) (*engine.Merged, error) {
	return &engine.Merged{Context: "labctl-" + lab, File: into}, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := map[string]Options{
		"content.txt": {},
		"path.txt":    {Path: true},
		"merged.txt":  {Merge: true, Into: "/home/me/.kube/config"},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, errOut := iostreams.Test()
			o.IO, o.Lab, o.Engine = streams, "x", func() (Configurer, error) { return fake{}, nil }
			if err := run(t.Context(), &o); err != nil {
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
	tests := map[string]Options{
		"no engine":  {Engine: func() (Configurer, error) { return nil, broken }},
		"no lab":     {Engine: func() (Configurer, error) { return fake{broken}, nil }},
		"not merged": {Merge: true, Engine: func() (Configurer, error) { return fake{broken}, nil }},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, _ := iostreams.Test()
			o.IO = streams
			if err := run(t.Context(), &o); !errors.Is(err, broken) || out.Len() > 0 {
				t.Errorf("error %v, stdout %q", err, out)
			}
		})
	}
}
