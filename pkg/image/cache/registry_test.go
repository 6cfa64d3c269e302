package cache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

// testRegistry runs a registry in this process that keeps its blobs in dir.
func testRegistry(t *testing.T) (reg *Registry, dir string) {
	t.Helper()
	dir = t.TempDir()
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(registry.NewDiskBlobHandler(dir))))
	t.Cleanup(srv.Close)
	reg, err := Open(strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return reg, dir
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	reg, dir := testRegistry(t)
	if _, ok, err := reg.Has(ctx, "a", "1"); ok || err != nil {
		t.Fatalf("empty registry: %v, %v", ok, err)
	}
	base := randomImage(t)
	if err := reg.Push(ctx, base, "a", "1", nil); err != nil {
		t.Fatal(err)
	}
	layers, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	extra, err := layers.Layers()
	if err != nil {
		t.Fatal(err)
	}
	child, err := mutate.AppendLayers(base, extra...)
	if err != nil {
		t.Fatal(err)
	}
	before := countFiles(t, dir)
	var done, total int64
	if err := reg.Push(ctx, child, "b", "2", func(d, n int64) { done, total = d, n }); err != nil {
		t.Fatal(err)
	}
	if got := countFiles(t, dir) - before; got != 2 {
		t.Errorf("a child of a stored image brought %d new blobs, not one layer and one config", got)
	}
	if done == 0 || done > total {
		t.Errorf("progress %d of %d", done, total)
	}
	list, err := reg.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Name+":"+e.Tag)
		if e.Size < 4000 {
			t.Errorf("%s has only %d bytes", e.Name, e.Size)
		}
	}
	if diff := cmp.Diff([]string{"a:1", "b:2"}, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	for _, e := range list {
		if _, ok, err := reg.Has(ctx, e.Name, e.Tag); !ok || err != nil {
			t.Errorf("Has(%s): %v, %v", e.Name, ok, err)
		}
		if err := reg.Verify(ctx, e.Name, e.Tag); err != nil {
			t.Error(err)
		}
	}
	for range 2 { // the second time there is nothing to delete, which is fine
		if err := reg.Delete(ctx, "a", "1"); err != nil {
			t.Error(err)
		}
	}
	if _, ok, err := reg.Has(ctx, "a", "1"); ok || err != nil {
		t.Errorf("after Delete: %v, %v", ok, err)
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tests := map[string]func(path string) error{
		"cut off": func(p string) error { return os.Truncate(p, 10) },
		"removed": os.Remove,
	}
	for name, harm := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg, dir := testRegistry(t)
			img := randomImage(t)
			if err := reg.Push(ctx, img, "a", "1", nil); err != nil {
				t.Fatal(err)
			}
			layers, err := img.Layers()
			if err != nil {
				t.Fatal(err)
			}
			digest, err := layers[0].Digest()
			if err != nil {
				t.Fatal(err)
			}
			if err := harm(findFile(t, dir, digest.Hex)); err != nil {
				t.Fatal(err)
			}
			_, ok, err := reg.Has(ctx, "a", "1")
			if !errors.Is(err, ErrDamaged) || ok {
				t.Errorf("Has: %v, %v", ok, err)
			}
			if err := reg.Verify(ctx, "a", "1"); !errors.Is(err, ErrDamaged) {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

// collector stands for the container whose registry collects garbage.
func collector() *Container {
	f := execx.NewFake(
		execx.Rule{Prefix: inspectCmd, Stdout: container("running", image, "5411", "labctl")},
		execx.Rule{Prefix: "docker exec labctl-cache /usr/local/bin/registry garbage-collect --delete-untagged /etc/distribution/config.yml"},
		execx.Rule{Prefix: "docker restart"},
	)
	c := NewContainer(docker.New(f))
	c.answers = func(context.Context, string) error { return nil }
	return c
}

func TestRetain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	reg, _ := testRegistry(t)
	old := randomImage(t)
	for _, tag := range []string{"old", "same"} { // two tags of one image
		if err := reg.Push(ctx, old, "a", tag, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := reg.Push(ctx, randomImage(t), "a", "gone", nil); err != nil {
		t.Fatal(err)
	}
	freed, removed, err := reg.Retain(ctx, collector(), func(e Entry) bool { return e.Tag == "same" })
	if err != nil {
		t.Fatal(err)
	}
	if len(removed) != 2 || freed < 4000 || freed > 8000 {
		t.Errorf("removed %v, freed %d", removed, freed)
	}
	left, err := reg.List(ctx)
	if err != nil || len(left) != 1 || left[0].Tag != "same" {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	reg, dir := testRegistry(t)
	bad := randomImage(t)
	for n, img := range map[string]v1.Image{"good": randomImage(t), "bad": bad} {
		if err := reg.Push(ctx, img, n, "1", nil); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := bad.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(findFile(t, dir, cfg.Hex), 3); err != nil {
		t.Fatal(err)
	}
	if err := reg.Sweep(ctx, collector(), false); err != nil {
		t.Fatal(err)
	}
	left, err := reg.List(ctx)
	if err != nil || len(left) != 1 || left[0].Name != "good" {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestNotARegistry(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(nil) // answers 404 to everything
	t.Cleanup(srv.Close)
	if err := answers(context.Background(), strings.TrimPrefix(srv.URL, "http://")); err == nil || !strings.Contains(err.Error(), "is not a registry") {
		t.Errorf("got %v", err)
	}
}

func countFiles(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	walk(t, dir, func(string) { n++ })
	return n
}

func findFile(t *testing.T, dir, name string) string {
	t.Helper()
	found := ""
	walk(t, dir, func(p string) {
		if strings.Contains(filepath.Base(p), name) {
			found = p
		}
	})
	if found == "" {
		t.Fatalf("no file %s", name)
	}
	return found
}

func walk(t *testing.T, dir string, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			visit(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
