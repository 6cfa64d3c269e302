package scaffold_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/charts"
	"labctl.dev/labctl/docs/schema"
	"labctl.dev/labctl/images"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/lint"
	"labctl.dev/labctl/pkg/scaffold"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	files, err := scaffold.Files("my-lab", "../schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b.WriteString("-- " + name + " --\n" + string(files[name]))
	}
	golden.Equal(t, []byte(b.String()), "my-lab.golden")
}

// TestLint is the promise of a new lab: its author begins with something whole.
func TestLint(t *testing.T) {
	t.Parallel()
	set, err := spec.Load(images.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"my-lab", "a", "42", "true", "x-1-y", strings.Repeat("a", 40)} {
		files, err := scaffold.Files(name, "x.json")
		if err != nil {
			t.Fatal(err)
		}
		dir := fstest.MapFS{}
		for p, data := range files {
			dir[p] = &fstest.MapFile{Data: data}
		}
		findings, err := lint.New(lint.Config{Charts: charts.FS, Images: set.Names()}).Lint(t.Context(), name, name, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			// How many drills a lab needs is for its author.
			if f.ID != "few-drills" {
				t.Error(f)
			}
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "labs")
	res, err := scaffold.New(dir, "my-lab")
	if err != nil {
		t.Fatal(err)
	}
	if res.Dir != filepath.Join(dir, "my-lab") || !slices.Contains(res.Files, "lab.yaml") {
		t.Errorf("result %+v", res)
	}
	want, err := scaffold.Files("my-lab", "../"+schema.FileName)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read(t, res.Dir)); diff != "" {
		t.Error(diff)
	}
	got, err := os.ReadFile(filepath.Join(dir, schema.FileName))
	if err != nil || !bytes.Equal(got, schema.Lab) {
		t.Errorf("the schema is not beside the labs: %v", err)
	}

	if err := os.WriteFile(filepath.Join(res.Dir, "lab.yaml"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := scaffold.New(dir, "my-lab"); !errors.Is(err, scaffold.ErrExists) {
		t.Errorf("error %v, want ErrExists", err)
	}
	if got := read(t, res.Dir)["lab.yaml"]; string(got) != "mine" {
		t.Error("a file was written over")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d entries in %s, want the lab and the schema: %v", len(entries), dir, err)
	}
}

func TestNewInCheckout(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	docs := filepath.Join(root, "docs", "schema")
	if err := os.MkdirAll(docs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(docs, schema.FileName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	labs := filepath.Join(root, "labs")
	res, err := scaffold.New(labs, "my-lab")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(read(t, res.Dir)["lab.yaml"]), "\n")
	if want := "# yaml-language-server: $schema=../../docs/schema/" + schema.FileName; first != want {
		t.Errorf("first line %q, want %q", first, want)
	}
	if _, err := os.Stat(filepath.Join(labs, schema.FileName)); err == nil {
		t.Error("a copy of the schema was written")
	}
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "My", "a b", "../a", "-a", strings.Repeat("a", 41)} {
		dir := t.TempDir()
		if _, err := scaffold.New(dir, name); err == nil {
			t.Errorf("%q was taken", name)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%q left something", name)
		}
	}
}

func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
