package labs

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// TestEverythingIsEmbedded finds files of a lab that the patterns don't match,
// such as those of a directory with a new name.
func TestEverythingIsEmbedded(t *testing.T) {
	t.Parallel()
	err := fs.WalkDir(os.DirFS("."), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasSuffix(p, "/chart/charts"):
			return fs.SkipDir // from `helm dependency build`
		case d.IsDir() || !strings.Contains(p, "/") || path.Base(p) == "Chart.lock":
			return nil
		}
		if _, err := fs.Stat(FS, p); err != nil {
			t.Errorf("%s is not embedded; add a pattern to embed.go", p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
