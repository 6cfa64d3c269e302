package version

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/ui"
	"labctl.dev/labctl/pkg/version"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) ui.Format { return o.Output }, map[string]cmdtest.Line[ui.Format]{
		"none":        {Want: ui.Text},
		"JSON":        {Args: []string{"-o", "json"}, Want: ui.JSON},
		"an argument": {Args: []string{"x"}, Code: clierr.CodeUsage},
	})
}

// The values are those of the build, so only names and shape are compared.
func TestRun(t *testing.T) {
	t.Parallel()
	s := cmdtest.NewStreams()
	if err := run(t.Context(), &Options{IO: s.IO, Output: ui.Text}); err != nil {
		t.Fatal(err)
	}
	var labels []string
	lines := strings.Split(strings.TrimSpace(s.Out.String()), "\n")
	for _, l := range lines[1:] {
		labels = append(labels, strings.Fields(l)[0])
	}
	if diff := cmp.Diff([]string{"version", "commit", "built", "go", "platform"}, labels); diff != "" || lines[0] != version.Project {
		t.Errorf("got\n%s\n%s", s.Out, diff)
	}

	s.Out.Reset()
	if err := run(t.Context(), &Options{IO: s.IO, Output: ui.JSON}); err != nil {
		t.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal(s.Out.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	// Not every build knows these two.
	delete(fields, "commit")
	delete(fields, "date")
	if diff := cmp.Diff([]string{"go", "platform", "project", "version"}, slices.Sorted(maps.Keys(fields))); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
