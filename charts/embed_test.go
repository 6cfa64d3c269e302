package charts_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/charts"
)

// TestEveryChartIsEmbedded finds a chart that the embed patterns miss.
func TestEveryChartIsEmbedded(t *testing.T) {
	t.Parallel()
	var onDisk, embedded []string
	walk := func(fsys fs.FS, list *[]string) {
		err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
			parts := strings.Split(path, "/")
			switch {
			case err != nil:
				return err
			case d.IsDir() && (path == "testdata" || len(parts) == 2 && parts[1] == "charts"):
				return fs.SkipDir
			case !d.IsDir() && len(parts) > 1 && parts[1] != "Chart.lock":
				*list = append(*list, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	walk(os.DirFS("."), &onDisk)
	walk(charts.FS, &embedded)
	if diff := cmp.Diff(onDisk, embedded); diff != "" {
		t.Errorf("on disk (-) and embedded (+) differ:\n%s", diff)
	}
}
