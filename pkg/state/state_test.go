package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/state"
)

func open(t *testing.T, root string, opts ...state.Option) *state.Dir {
	t.Helper()
	d, err := state.Open(root, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpenWritesNothing(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "labctl")
	d := open(t, root)
	if _, ok, err := d.Target("serving"); ok || err != nil {
		t.Fatalf("Target of an empty directory: ok=%v err=%v", ok, err)
	}
	if err := d.ForgetTarget("serving"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("reading made the directory: %v", err)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "labctl")
	d := open(t, root)
	want := map[string]state.Target{
		"serving": {Kubeconfig: "/k", Context: "class", Registry: "10.0.0.1:5000"},
		"drift":   {Context: "other"},
	}
	for lab, target := range want {
		if err := d.SetTarget(lab, target); err != nil {
			t.Fatal(err)
		}
	}
	got, err := open(t, root).Targets()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := d.ForgetTarget("drift"); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := d.Target("drift"); ok {
		t.Error("drift is still remembered")
	}
	if runtime.GOOS == "windows" {
		return
	}
	err = filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, "A", "-a", "a-", "a\x00b", "a b", strings.Repeat("a", 64)} {
		if err := d.SetTarget(name, state.Target{}); !errors.Is(err, state.ErrName) {
			t.Errorf("SetTarget(%q) = %v", name, err)
		}
		if _, err := d.Lock(t.Context(), name, "x", nil); !errors.Is(err, state.ErrName) {
			t.Errorf("Lock(%q) = %v", name, err)
		}
		if rel, err := filepath.Rel(d.Root(), d.KubeconfigPath(name)); err != nil || !filepath.IsLocal(rel) {
			t.Errorf("KubeconfigPath(%q) = %s, %v", name, rel, err)
		}
	}
}

func TestCorruptFilesAreSetAside(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{", "\x00\xff", `[]`, `{"schema":0}`, `{"schema":1,"data":7}`, `{"schema":1,"data":{"context":["a"]}}`} {
		var warnings []string
		root := t.TempDir()
		d := open(t, root, state.WithWarnings(func(m string) { warnings = append(warnings, m) }))
		file := filepath.Join(root, "targets", "serving.json")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 2; n++ {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, ok, err := d.Target("serving")
			if err != nil || ok || got != (state.Target{}) {
				t.Fatalf("Target of %q = %v, %v, %v", content, got, ok, err)
			}
			kept, err := os.ReadFile(file + ".corrupt-" + string(rune('0'+n)))
			if err != nil || string(kept) != content {
				t.Fatalf("kept %q, %v; want %q", kept, err, content)
			}
		}
		if len(warnings) != 2 || !strings.Contains(warnings[0], "serving.json.corrupt-1") {
			t.Errorf("warnings of %q: %q", content, warnings)
		}
		if err := d.SetTarget("serving", state.Target{Context: "c"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewerFileIsKept(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := open(t, root)
	file := filepath.Join(root, "targets", "serving.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(`{"schema":99,"data":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Target("serving"); err == nil || clierr.Describe(err).Hint == "" {
		t.Errorf("want an error with a hint, got %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestClusterID(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	id, err := open(t, root).ClusterID()
	if err != nil {
		t.Fatal(err)
	}
	again, err := open(t, root).ClusterID()
	if err != nil {
		t.Fatal(err)
	}
	if id != again {
		t.Errorf("id changed from %v to %v", id, again)
	}
	if err := os.WriteFile(filepath.Join(id.Dir, state.IDFile), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err = open(t, root).ClusterID(); err != nil || id != again {
		t.Errorf("after damage: %v, %v", again, err)
	}
	files, err := os.ReadDir(id.Dir)
	if err != nil || len(files) != 1 {
		t.Errorf("the id directory holds %v, %v", files, err)
	}
	if err := os.RemoveAll(filepath.Join(root, "id")); err != nil {
		t.Fatal(err)
	}
	drawn, err := open(t, root).ClusterID()
	if err != nil || drawn == id {
		t.Fatalf("after loss: %v, %v", drawn, err)
	}
	if !drawn.Owns(id.Dir) {
		t.Error("a directory that lost its id disowns its clusters")
	}
}

func TestOwns(t *testing.T) {
	t.Parallel()
	id := state.ID{Value: "0123456789abcdef", Dir: "/home/u/.local/state/labctl/id/0123456789abcdef"}
	for source, want := range map[string]bool{
		"/home/u/.local/state/labctl/id/0123456789abcdef":          true,
		"/home/u/.local/state/labctl/id/fedcba9876543210":          true,
		"/host_mnt/home/u/.local/state/labctl/id/0123456789abcdef": true,
		"/moved/labctl/id/0123456789abcdef":                        true,
		"/home/v/.local/state/labctl/id/fedcba9876543210":          false,
		"/home/u/.local/state/labctl/id/notes":                     false,
		"/home/u/.local/state/labctl/id":                           false,
		"/etc":                                                     false,
		"":                                                         false,
	} {
		if got := id.Owns(source); got != want {
			t.Errorf("Owns(%q) = %v", source, got)
		}
	}
}

func TestPurgeLeavesForeignFiles(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "s")
	d := open(t, root)
	if err := d.Purge(); err != nil {
		t.Fatalf("purge of nothing: %v", err)
	}
	fill := func() {
		if _, err := d.ClusterID(); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteKubeconfig("labctl", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := d.SetTarget("serving", state.Target{}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.LogDir("create", time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	if err := d.Purge(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("root is still there: %v", err)
	}
	fill()
	mine := filepath.Join(root, "thesis.txt")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Purge(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 || entries[0].Name() != "thesis.txt" {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestLogDirs(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var last string
	for range 4 {
		for range 2 { // two of the same moment
			path, err := d.LogDir("create", now)
			if err != nil {
				t.Fatal(err)
			}
			last = path
		}
		now = now.Add(time.Minute)
	}
	if _, err := d.LogDir("other", now); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(last))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 6 {
		t.Errorf("%d directories stay, want 5 + 1", len(entries))
	}
	if _, err := os.Stat(last); err != nil {
		t.Error(err)
	}
}

func TestRootIsMadePrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of Unix")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	open(t, root)
	info, err := os.Stat(root)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(file); err == nil {
		t.Error("a file was taken as the directory")
	}
}

func TestForeignOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	root := t.TempDir()
	if err := os.Chown(root, 4711, 4711); err != nil {
		t.Fatal(err)
	}
	_, err := state.Open(root)
	if err == nil || !strings.Contains(err.Error(), "4711") || clierr.Describe(err).Hint == "" {
		t.Errorf("got %v", err)
	}
}
