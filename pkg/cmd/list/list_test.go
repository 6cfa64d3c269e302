package list

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args   []string
		output ui.Format
		code   int
	}{
		"none":        {output: ui.Text},
		"JSON":        {args: []string{"--output", "json"}, output: ui.JSON},
		"an argument": {args: []string{"x"}, code: clierr.CodeUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got ui.Format
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = o.Output
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if got != tt.output {
				t.Errorf("output %q, want %q", got, tt.output)
			}
		})
	}
}

func labs() fstest.MapFS {
	spec := func(name, title, level, promise string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`apiVersion: labctl.dev/v1alpha1
kind: Lab
metadata: {name: ` + name + `, title: ` + title + `, promise: ` + promise + `, level: ` + level + `, minutes: 45}
layer: {mlops: [serving, monitoring], topics: [t]}
analogies: [{know: a, new: b}]
components: [postgres]
requires: {memoryMi: 1800, cpu: 1}
next: Go.
`)}
	}
	return fstest.MapFS{
		"serving/lab.yaml":     spec("serving", "Serving", "3", "Serve <models> & more"),
		"first-steps/lab.yaml": spec("first-steps", "First steps", "1", "Begin"),
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, output := range map[string]ui.Format{"list.txt": ui.Text, "list.json": ui.JSON} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, errOut := iostreams.Test()
			o := &Options{IO: streams, Output: output, Catalog: func() (*catalog.Catalog, error) { return catalog.New(labs()), nil }}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, out.Bytes(), name)
			if errOut.Len() > 0 {
				t.Errorf("stderr has %q", errOut)
			}
		})
	}
}

func TestNoLabs(t *testing.T) {
	t.Parallel()
	streams, _, out, _ := iostreams.Test()
	o := &Options{IO: streams, Output: ui.JSON, Catalog: func() (*catalog.Catalog, error) { return catalog.New(fstest.MapFS{}), nil }}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if out.String() != "[]\n" {
		t.Errorf("got %q, want an empty list", out)
	}
}

func TestNoCatalog(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	streams, _, _, _ := iostreams.Test()
	o := &Options{IO: streams, Catalog: func() (*catalog.Catalog, error) { return nil, broken }}
	if err := run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
