package kubeconfig

import (
	"context"
	"errors"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
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
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Lab, o.Target, o.Path, o.Merge, o.Into} }, map[string]cmdtest.Line[given]{
		"a lab":           {Args: []string{"x"}, Want: given{Lab: "x"}},
		"path":            {Args: []string{"x", "--path"}, Want: given{Lab: "x", Path: true}},
		"merge":           {Args: []string{"x", "--merge", "--into", "f"}, Want: given{Lab: "x", Merge: true, Into: "f"}},
		"another cluster": {Args: []string{"x", "--kubeconfig", "k"}, Want: given{Lab: "x", Target: engine.Target{Kubeconfig: "k"}}},
		"no lab":          {Code: clierr.CodeUsage},
		"two labs":        {Args: []string{"x", "y"}, Code: clierr.CodeUsage},
	})
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
			s := cmdtest.NewStreams()
			o.IO, o.Lab, o.Engine = s.IO, "x", func() (Configurer, error) { return fake{}, nil }
			if err := run(t.Context(), &o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
			s.WantErrOut(t)
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
			s := cmdtest.NewStreams()
			o.IO = s.IO
			if err := run(t.Context(), &o); !errors.Is(err, broken) || s.Out.Len() > 0 {
				t.Errorf("error %v, stdout %q", err, s.Out)
			}
		})
	}
}
