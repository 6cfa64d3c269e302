package labs

import (
	"io/fs"
	"os"
	"path"
	"slices"
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

// TestEveryLabIsProven: `make smoke` lists the labs, the longest proof first.
func TestEveryLabIsProven(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(makefile), "\nSMOKE ")
	line, _, _ := strings.Cut(rest, "\n")
	files, err := fs.Glob(FS, "*/lab.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("labs %v: %v", files, err)
	}
	for _, f := range files {
		if name := path.Dir(f); !slices.Contains(strings.Fields(line), name) {
			t.Errorf("make smoke does not prove %s", name)
		}
	}
}
