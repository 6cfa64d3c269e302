package render

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
	"labctl.dev/labctl/pkg/release"
)

// given is the part of the options that the command line gives.
type given struct {
	Lab    string
	Target engine.Target
	Output format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want given
		code int
	}{
		"a lab": {args: []string{"demo"}, want: given{"demo", engine.Target{}, yamlFormat}},
		"all": {
			args: []string{"demo", "-o", "json", "--context", "c", "--registry", "r"},
			want: given{"demo", engine.Target{Context: "c", Registry: "r"}, jsonFormat},
		},
		"no lab":   {code: clierr.CodeUsage},
		"two labs": {args: []string{"a", "b"}, code: clierr.CodeUsage},
		"text":     {args: []string{"demo", "-o", "text"}, code: clierr.CodeFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got given
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = given{o.Lab, o.Target, o.Output}
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
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

type fake struct{ err error }

func (f fake) Render(context.Context, string, engine.Target) (*engine.Rendering, error) {
	if f.err != nil {
		return nil, f.err
	}
	object := func(kind, name string) release.Object {
		return release.Object{Object: map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name}}}
	}
	return &engine.Rendering{Objects: release.Manifests{Objects: []release.Object{object("Secret", "a"), object("Service", "b")}}}, nil
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, output := range map[string]format{"render.yaml": yamlFormat, "render.json": jsonFormat} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, _ := iostreams.Test()
			o := &Options{IO: streams, Output: output, Engine: func() (Renderer, error) { return fake{}, nil }}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, out.Bytes(), name)
		})
	}
	broken := errors.New("broken")
	streams, _, _, _ := iostreams.Test()
	o := &Options{IO: streams, Output: yamlFormat, Engine: func() (Renderer, error) { return fake{broken}, nil }}
	if err := run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
