package list

import (
	"errors"
	"testing"
	"testing/fstest"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/ui"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) ui.Format { return o.Output }, map[string]cmdtest.Line[ui.Format]{
		"none":        {Want: ui.Text},
		"JSON":        {Args: []string{"--output", "json"}, Want: ui.JSON},
		"an argument": {Args: []string{"x"}, Code: clierr.CodeUsage},
	})
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
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Output: output, Catalog: func() (*catalog.Catalog, error) { return catalog.New(labs()), nil }}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
			s.WantErrOut(t)
		})
	}
}

func TestNoLabs(t *testing.T) {
	t.Parallel()
	s := cmdtest.NewStreams()
	o := &Options{IO: s.IO, Output: ui.JSON, Catalog: func() (*catalog.Catalog, error) { return catalog.New(fstest.MapFS{}), nil }}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if s.Out.String() != "[]\n" {
		t.Errorf("got %q, want an empty list", s.Out)
	}
}

func TestNoCatalog(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := cmdtest.NewStreams()
	o := &Options{IO: s.IO, Catalog: func() (*catalog.Catalog, error) { return nil, broken }}
	if err := run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
