package node

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	archive "github.com/google/go-containerregistry/pkg/v1/tarball"

	"labctl.dev/labctl/pkg/image/spec"
)

// hexKey is a cache key.
var hexKey = regexp.MustCompile(`[0-9a-f]{12}`)

// entries reads a tar into "mode name[ -> link]: content" lines.
func entries(t *testing.T, r io.Reader) []string {
	t.Helper()
	var out []string
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		line := h.FileInfo().Mode().Perm().String() + " " + h.Name
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: owner %d:%d, time %s", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		out = append(out, line+": "+strings.TrimSpace(string(raw)))
	}
}

func TestNodeFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("kind/etc/a.conf", "a")
	write("kind/usr/local/bin/entrypoint", "#!/bin/bash")
	j := &job{
		kindFiles: filepath.Join(dir, "kind"),
		recipe:    recipe{Install: map[string]string{"ctr": "/usr/local/bin/ctr"}},
		programs:  map[string]string{"ctr": write("bin/ctr", "ELF")},
		files: map[string]spec.File{
			"files/etc/b.conf":           {Content: []byte("b")},
			"build/import.sh":            {Content: []byte("#!/bin/sh")},
			"components/x/go.mod.txt":    {Content: []byte("module x")},
			"files/kind/manifests/c.yml": {Content: []byte("c")},
		},
	}
	var buf bytes.Buffer
	if err := j.nodeFiles(&buf); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-rw-r--r-- etc/a.conf: a",
		"-rwxr-xr-x usr/local/bin/entrypoint: #!/bin/bash",
		"-rwxr-xr-x labctl-build/import.sh: #!/bin/sh",
		"-rw-r--r-- etc/b.conf: b",
		"-rw-r--r-- kind/manifests/c.yml: c",
		"-rwxr-xr-x usr/local/bin/ctr: ELF",
	}
	if d := cmp.Diff(want, entries(t, &buf)); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

// TestArchive packs images and reads them with a reader that is not ours.
func TestArchive(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	j, err := m.newJob(m.request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.log.Close() })
	dir := t.TempDir()
	program := filepath.Join(dir, "kubernetes")
	if err := os.WriteFile(program, []byte("ELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	j.programs["kubernetes"] = program
	images, err := j.pack(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := writeArchive(&buf, images); err != nil {
		t.Fatal(err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	manifest, err := archive.LoadManifest(open)
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 2 {
		t.Fatalf("got %d images", len(manifest))
	}
	if d := cmp.Diff([]string{"api:1", "sched:1"}, manifest[0].RepoTags); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	api, proxy := manifest[0].Layers, manifest[1].Layers
	if len(api) != 1 || len(proxy) != 2 || api[0] != proxy[0] {
		t.Errorf("layers %q and %q do not share the first", api, proxy)
	}
	var files int
	for _, e := range entries(t, bytes.NewReader(buf.Bytes())) {
		name, content, _ := strings.Cut(strings.TrimPrefix(e, "-rw-r--r-- "), ": ")
		if sum, _, ok := strings.Cut(name, "."); ok && strings.HasSuffix(name, ".json") && name != "manifest.json" {
			if got := sha256.Sum256([]byte(content)); hex.EncodeToString(got[:]) != sum {
				t.Errorf("%s has another sum", name)
			}
			var c v1.ConfigFile
			if err := json.Unmarshal([]byte(content), &c); err != nil {
				t.Fatal(err)
			}
			if c.Architecture != "amd64" || c.Config.Entrypoint[0] != "/usr/local/bin/kubernetes" {
				t.Errorf("configuration %+v", c)
			}
		}
		files++
	}
	if files != 5 { // two configurations, two layers, the manifest
		t.Errorf("%d files in the archive", files)
	}
	f, err := os.Open(images[0].layers[0].file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := []string{
		"-rwxr-xr-x usr/local/bin/kubernetes: ELF",
		"-rwxrwxrwx usr/local/bin/api -> kubernetes: ",
		"-rwxrwxrwx usr/local/bin/sched -> kubernetes: ",
	}
	if d := cmp.Diff(want, entries(t, f)); d != "" {
		t.Errorf("layer (-want +got):\n%s", d)
	}
}

func TestPipe(t *testing.T) {
	t.Parallel()
	errFrom, errTo := errors.New("from"), errors.New("to")
	write := func(_ context.Context, w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20))
		return err
	}
	drain := func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	tests := []struct {
		name string
		from func(context.Context, io.Writer) error
		to   func(context.Context, io.Reader) error
		want error
	}{
		{name: "good", from: write, to: drain},
		{name: "writer fails", from: func(context.Context, io.Writer) error { return errFrom }, to: drain, want: errFrom},
		{name: "reader fails", from: write, to: func(context.Context, io.Reader) error { return errTo }, want: errTo},
		{name: "reader leaves early", from: write, to: func(context.Context, io.Reader) error { return nil }, want: io.ErrClosedPipe},
		{
			name: "the other end is told", from: func(context.Context, io.Writer) error { return errFrom },
			to: func(ctx context.Context, _ io.Reader) error {
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-time.After(10 * time.Second):
					return errTo
				}
			}, want: errFrom,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := pipe(t.Context(), tt.from, tt.to); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	module := []spec.File{{Path: "go.mod", Content: []byte("module x")}}
	base := component{Name: "x", Programs: map[string]string{"x": "."}}
	key := base.key(module, "go1.26.8", "amd64")
	if key != base.key(module, "go1.26.8", "amd64") {
		t.Error("the key is not stable")
	}
	cgo, tags, set, pkg := base, base, base, base
	cgo.CGO = true
	tags.Tags = []string{"a"}
	set.Set = map[string]string{"a.b": "c"}
	pkg.Programs = map[string]string{"x": "./cmd"}
	for name, other := range map[string]string{
		"go version": base.key(module, "go1.26.9", "amd64"),
		"platform":   base.key(module, "go1.26.8", "arm64"),
		"source":     base.key([]spec.File{{Path: "go.mod", Content: []byte("module y")}}, "go1.26.8", "amd64"),
		"cgo":        cgo.key(module, "go1.26.8", "amd64"),
		"tags":       tags.key(module, "go1.26.8", "amd64"),
		"variables":  set.key(module, "go1.26.8", "amd64"),
		"package":    pkg.key(module, "go1.26.8", "amd64"),
	} {
		if other == key {
			t.Errorf("another %s has the same key", name)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := os.MkdirAll(filepath.Dir(m.request.Log), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := openLog(m.request.Log, m.request.Progress)
	if err != nil {
		t.Fatal(err)
	}
	l.begin("compile x", 1, 2)
	if _, err := io.WriteString(l, "go: downloading example.org/a v1\nexample.org/a/"+strings.Repeat("long/", 20)+"b\nI: installing...\n"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"compile x",
		"compile x: download example.org/a",
		"compile x: example.org/a/long/long/long/long/long/long/long/long/lo...",
		"compile x: installing",
	}
	if d := cmp.Diff(want, m.texts); d != "" {
		t.Errorf("progress (-want +got):\n%s", d)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
