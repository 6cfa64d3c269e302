package explain

import (
	"testing"
	"testing/fstest"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Name   string
	Output ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Name, o.Output} }, map[string]cmdtest.Line[given]{
		"everything":    {Want: given{Output: ui.Text}},
		"a word":        {Args: []string{"drift", "-ojson"}, Want: given{"drift", ui.JSON}},
		"several words": {Args: []string{"model", "version"}, Want: given{"model version", ui.Text}},
	})
}

const labYAML = `
apiVersion: labctl.dev/v1alpha1
kind: Lab
metadata: {name: model-registry, title: Model registry, promise: Ship models like images, level: 2, minutes: 50}
layer: {mlops: [model registry], topics: [model registries]}
analogies:
  - {know: "image tag :latest", new: "alias"}
components: [mlflow]
requires: {memoryMi: 100, cpu: 1}
next: Look around.
`

func labs() (*catalog.Catalog, error) {
	return catalog.New(fstest.MapFS{"model-registry/lab.yaml": {Data: []byte(labYAML)}}), nil
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		name   string
		tty    bool
		output ui.Format
	}{
		"term.txt":     {name: "alias", output: ui.Text},
		"terminal.txt": {name: "alias", tty: true, output: ui.Text},
		"term.json":    {name: "Alias", output: ui.JSON},
		// The word and the lab have the same name.
		"lab.txt":     {name: "model-registry", output: ui.Text, tty: true},
		"finding.txt": {name: "engine-hangs", output: ui.Text},
		"error.txt":   {name: "engine-pidfile", output: ui.Text},
		"index.txt":   {output: ui.Text},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			s.IO.SetTTY(tt.tty)
			if err := run(t.Context(), &Options{IO: s.IO, Catalog: labs, Name: tt.name, Output: tt.output}); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
			s.WantErrOut(t)
		})
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	s := cmdtest.NewStreams()
	err := run(t.Context(), &Options{IO: s.IO, Catalog: labs, Name: "alais", Output: ui.Text})
	if d := clierr.Describe(err); d.Code != clierr.CodeUsage || d.Error != `nothing is known about "alais"; did you mean alias?` || d.Hint == "" {
		t.Errorf("error %+v", d)
	}
	s.WantOut(t, "")
}
