package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/labs"
)

func spec(name, level string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(`apiVersion: labctl.dev/v1alpha1
kind: Lab
metadata: {name: ` + name + `, title: T, promise: P, level: ` + level + `, minutes: 5}
layer: {mlops: [m], topics: [t]}
analogies: [{know: a, new: b}]
components: [postgres]
requires: {memoryMi: 1, cpu: 1}
next: Go.
`)}
}

func TestListAndGet(t *testing.T) {
	t.Parallel()
	c := New(fstest.MapFS{
		"serving/lab.yaml":         spec("serving", "2"),
		"model-registry/lab.yaml":  spec("model-registry", "2"),
		"first-steps/lab.yaml":     spec("first-steps", "1"),
		"model-registry/chart/a":   {},
		"not-a-lab/README.md":      {},
		"Not_A_Name/lab.yaml":      spec("x", "1"),
		"embed.go":                 {},
		"model-registry/tasks/x.y": {},
	})
	entries, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Lab.Metadata.Name)
	}
	if diff := cmp.Diff([]string{"first-steps", "model-registry", "serving"}, got); diff != "" {
		t.Error(diff)
	}
	e, err := c.Get("serving")
	if err != nil || e.Lab.Metadata.Name != "serving" {
		t.Errorf("Get: %v, %v", e, err)
	}
}

func TestGetNotFound(t *testing.T) {
	t.Parallel()
	c := New(fstest.MapFS{"serving/lab.yaml": spec("serving", "2"), "secret/lab.yaml": spec("secret", "2")})
	tests := map[string]string{
		"servin":            `there is no lab "servin"; did you mean serving?`,
		"postgres":          `there is no lab "postgres"`,
		"":                  `there is no lab ""`,
		"../serving":        `there is no lab "../serving"; did you mean serving?`,
		"serving/../secret": `there is no lab "serving/../secret"`,
		"\x1b[31m":          `there is no lab "\x1b[31m"`,
	}
	for name, want := range tests {
		_, err := c.Get(name)
		if !errors.Is(err, ErrNotFound) || err.Error() != want {
			t.Errorf("Get(%q) = %v, want %s", name, err, want)
		}
	}
}

func TestBrokenLabDoesNotHideOthers(t *testing.T) {
	t.Parallel()
	c := New(fstest.MapFS{
		"good/lab.yaml":  spec("good", "1"),
		"bad/lab.yaml":   {Data: []byte("kind: [")},
		"other/lab.yaml": spec("another", "1"),
	})
	entries, err := c.List()
	if len(entries) != 1 || entries[0].Lab.Metadata.Name != "good" {
		t.Errorf("got %v", entries)
	}
	for _, want := range []string{"bad/lab.yaml:1", `metadata.name is "another"; it must be the name of the directory`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	if _, err := c.Get("bad"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a broken lab: %v", err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	for _, name := range []string{"plain", "linked", "target"} {
		write(t, filepath.Join(dir, name, "lab.yaml"), string(spec(name, "1").Data))
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "linked", "chart")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := os.Symlink("target", filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "plain", "lab.yaml")); err == nil {
		t.Error("a file was taken for a directory")
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get("plain"); err != nil {
		t.Error(err)
	}
	if _, err := c.Get("linked"); err == nil || !strings.Contains(err.Error(), "linked/chart is a link") {
		t.Errorf("a link in a lab: %v", err)
	}
	if _, err := c.Get("alias"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a lab that is a link: %v", err)
	}
}

func TestEmbeddedLabs(t *testing.T) {
	t.Parallel()
	entries, err := New(labs.FS).List()
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d labs, %v", len(entries), err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
