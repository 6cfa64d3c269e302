package cmdutil_test

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
)

func TestArgs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		check cobra.PositionalArgs
		args  []string
		want  string // in the error; "" for none
	}{
		"exact":                {cmdutil.ExactArgs(1, "a lab"), []string{"x"}, ""},
		"exact, none":          {cmdutil.ExactArgs(1, "a lab"), nil, "needs a lab, got 0 arguments"},
		"exact, empty":         {cmdutil.ExactArgs(1, "a lab"), []string{""}, "empty argument 1"},
		"most":                 {cmdutil.MaxArgs(2, "two"), nil, ""},
		"most, three":          {cmdutil.MaxArgs(2, "two"), []string{"x", "y", "z"}, "takes two, got 3 arguments"},
		"most, empty":          {cmdutil.MaxArgs(2, "two"), []string{"x", ""}, "empty argument 2"},
		"least":                {cmdutil.MinArgs(1, "a lab"), []string{"x", "echo", ""}, ""},
		"least, none":          {cmdutil.MinArgs(1, "a lab"), nil, "needs a lab, got 0 arguments"},
		"least, empty":         {cmdutil.MinArgs(1, "a lab"), []string{"", "echo"}, "empty argument 1"},
		"none":                 {cmdutil.NoArgs, nil, ""},
		"none, and one of one": {cmdutil.NoArgs, []string{""}, "takes no arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.check(&cobra.Command{Use: "labctl"}, tt.args)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || clierr.Describe(err).Code != clierr.CodeUsage {
				t.Errorf("got %v, want a usage error with %q", err, tt.want)
			}
		})
	}
}
