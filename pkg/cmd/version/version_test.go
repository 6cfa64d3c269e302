package version

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
	"labctl.dev/labctl/pkg/version"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args   []string
		output ui.Format
		code   int
	}{
		"none":        {output: ui.Text},
		"JSON":        {args: []string{"-o", "json"}, output: ui.JSON},
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

// The values are those of the build, so only names and shape are compared.
func TestRun(t *testing.T) {
	t.Parallel()
	streams, _, out, _ := iostreams.Test()
	if err := run(t.Context(), &Options{IO: streams, Output: ui.Text}); err != nil {
		t.Fatal(err)
	}
	var labels []string
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, l := range lines[1:] {
		labels = append(labels, strings.Fields(l)[0])
	}
	if diff := cmp.Diff([]string{"version", "commit", "built", "go", "platform"}, labels); diff != "" || lines[0] != version.Project {
		t.Errorf("got\n%s\n%s", out, diff)
	}

	out.Reset()
	if err := run(t.Context(), &Options{IO: streams, Output: ui.JSON}); err != nil {
		t.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	// Not every build knows these two.
	delete(fields, "commit")
	delete(fields, "date")
	if diff := cmp.Diff([]string{"go", "platform", "project", "version"}, slices.Sorted(maps.Keys(fields))); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
