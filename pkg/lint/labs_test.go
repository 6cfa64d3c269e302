package lint_test

import (
	"testing"

	"labctl.dev/labctl/charts"
	"labctl.dev/labctl/images"
	"labctl.dev/labctl/labs"
	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/lint"
)

func newLinter(t *testing.T) *lint.Linter {
	t.Helper()
	set, err := spec.Load(images.FS)
	if err != nil {
		t.Fatal(err)
	}
	return lint.New(lint.Config{Charts: charts.FS, Images: set.Names()})
}

// TestLabs lints every lab that comes with labctl.
func TestLabs(t *testing.T) {
	t.Parallel()
	l := newLinter(t)
	c := catalog.New(labs.FS)
	names, err := c.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, _, err := c.Files(name)
			if err != nil {
				t.Fatal(err)
			}
			findings, err := l.Lint(t.Context(), "labs/"+name, name, files)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range findings {
				if f.Severity == lint.Error {
					t.Error(f)
				} else {
					t.Log(f)
				}
			}
		})
	}
}
