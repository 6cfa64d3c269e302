package image_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/ui"
)

var all = []string{"app", "debian", "job", "node", "web"}

func TestEnsure(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s := e.store(nil)
	rec := &recorder{}
	refs, err := s.Ensure(ctx, all, rec)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(refs)); !slices.Equal(got, all) {
		t.Errorf("refs of %v", got)
	}
	for n, ref := range refs {
		if ref.Way != image.Home || ref.String() != "registry.labctl/"+n+":"+ref.Tag || ref.Engine() != "labctl.local/"+n+":"+ref.Tag {
			t.Errorf("%+v", ref)
		}
	}
	for n, state := range rec.final() {
		if state != ui.Ready {
			t.Errorf("row %s ends as %v", n, state)
		}
	}
	if b, d, n := e.count("docker build --"), e.count("mmdebstrap"), e.count("node linux/amd64"); b != 4 || d != 1 || n != 1 {
		t.Errorf("%d builds, %d root file systems, %d nodes", b, d, n)
	}
	if e.count("docker save "+refs["node"].Engine()) > 0 {
		t.Error("the node image went into the cache")
	}

	e.forget()
	again, err := s.Ensure(ctx, all, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(refs, again); diff != "" {
		t.Errorf("second time (-first +second):\n%s", diff)
	}
	if n := e.count("docker build --") + e.count("docker save") + e.count("docker run") + e.count("mmdebstrap"); n > 0 {
		t.Errorf("the second time did something: %v", e.calls)
	}

	// Images that the engine still has are only stored again.
	if err := s.Container().Remove(ctx); err != nil {
		t.Fatal(err)
	}
	e.forget()
	if _, err := s.Ensure(ctx, []string{"app"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if b, w := e.count("docker build --"), e.count("docker save"); b != 0 || w != 1 {
		t.Errorf("%d builds, %d saved", b, w)
	}

	e.forget()
	if _, err := s.Build(ctx, []string{"app"}, true, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if n := e.count("docker build --"); n != 1 || !strings.Contains(strings.Join(e.calls, "\n"), "--no-cache") {
		t.Errorf("force: %d builds", n)
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	_, err := newEngine(t).store(nil).Ensure(context.Background(), []string{"app", "ap"}, ui.Discard())
	if !errors.Is(err, spec.ErrUnknown) || !strings.Contains(clierr.Describe(err).Hint, "app, debian, job") {
		t.Errorf("got %v", err)
	}
}

func TestBuildsAtOnce(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	var now, most atomic.Int32
	gate := make(chan struct{})
	e.onBuild = func() {
		if n := now.Add(1); n > 1 {
			most.Store(n)
		}
		select { // wait for a second one, but not for ever
		case gate <- struct{}{}:
		case <-gate:
		case <-time.After(100 * time.Millisecond):
		}
		now.Add(-1)
	}
	fsys := definitions()
	for _, n := range []string{"one", "two"} {
		fsys[n+"/Dockerfile"] = fsys["app/Dockerfile"]
		fsys[n+"/image.yaml"] = &fstest.MapFile{Data: []byte("name: " + n + "\ndescription: d\nbuild: dockerfile\n")}
	}
	s := e.store(func(o *image.Options) { o.Definitions = fsys })
	if _, err := s.Ensure(context.Background(), []string{"app", "web", "one", "two"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if most.Load() != 2 {
		t.Errorf("%d builds at once", most.Load())
	}
}

func TestWay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("public", func(t *testing.T) {
		t.Parallel()
		e := newEngine(t)
		asked := 0
		s := e.store(func(o *image.Options) { o.Reachable = func(context.Context, string) bool { asked++; return true } })
		refs, err := s.Ensure(ctx, []string{"app", "node"}, ui.Discard())
		if err != nil {
			t.Fatal(err)
		}
		if refs["app"].Way != image.Public || asked != 1 || e.count("docker pull") != 2 || e.count("node") != 0 || e.count("mmdebstrap") != 0 {
			t.Errorf("%v, asked %d times, %v", refs, asked, e.calls)
		}
		// A later run without network takes what is there, and home-built images
		// are other ones.
		s = e.store(nil)
		again, err := s.Ensure(ctx, []string{"app", "node"}, ui.Discard())
		if err != nil || again["app"] != refs["app"] {
			t.Errorf("%v, %v", again, err)
		}
		home, err := e.store(func(o *image.Options) { o.Way = image.Home }).Ensure(ctx, []string{"app"}, ui.Discard())
		if err != nil || home["app"].Tag == refs["app"].Tag {
			t.Errorf("%v, %v", home, err)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		if _, err := image.New(image.Options{Definitions: definitions(), Way: "north"}); clierr.Code(err) != clierr.CodeUsage {
			t.Errorf("got %v", err)
		}
	})
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s := e.store(nil)
	if _, err := s.EnsureCache(ctx, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	e.failOn["docker build --"] = &execx.ExitError{Command: "docker build", Code: 1, Stderr: "boom"}
	rec := &recorder{}
	_, err := s.Ensure(ctx, []string{"app", "node"}, rec)
	if err == nil || !strings.Contains(err.Error(), "build image app, step docker build") {
		t.Errorf("got %v", err)
	}
	if rec.final()["app"] != ui.Failed {
		t.Errorf("rows %v", rec.final())
	}
	// Once the cause is gone the next run goes on; the base is not built again.
	delete(e.failOn, "docker build --")
	e.forget()
	if _, err := s.Ensure(ctx, []string{"app"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if n := e.count("mmdebstrap"); n != 0 {
		t.Error("the base was built again")
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(context.Background())
	e := newEngine(t)
	e.onBuild = func() { cancel(clierr.ErrInterrupted) }
	rec := &recorder{}
	if _, err := e.store(nil).Ensure(ctx, []string{"app"}, rec); !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
	for n, state := range rec.final() {
		if state == ui.Failed {
			t.Errorf("%s is shown as failed", n)
		}
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	outside, _ := testRegistry(t)

	// One machine builds and pushes...
	a := newEngine(t)
	refs, err := a.store(nil).PushTo(ctx, outside+"/labs", []string{"app", "web", "node", "registry"}, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if want := outside + "/labs/app:"; !strings.HasPrefix(refs["app"], want) {
		t.Errorf("got %q", refs["app"])
	}
	a.forget()
	if _, err := a.store(nil).PushTo(ctx, outside+"/labs", []string{"app", "node"}, ui.Discard()); err != nil || a.count("docker save") > 0 {
		t.Errorf("the second push: %v, %v", err, a.calls)
	}

	// ...another one only pulls.
	b := newEngine(t)
	got, err := b.store(func(o *image.Options) { o.Registry = "http://" + outside + "/labs/" }).Ensure(ctx, []string{"app", "web", "node"}, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if b.count("docker build --")+b.count("mmdebstrap")+b.count("node") > 0 {
		t.Errorf("it built: %v", b.calls)
	}
	if want := outside + "/labs/app:" + got["app"].Tag; refs["app"] != want {
		t.Errorf("pulled %q, pushed %q", want, refs["app"])
	}
}

// Neither an image nor its base comes from the registry when it is to be built.
func TestBuildNeverPulls(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	outside, _ := testRegistry(t)
	if _, err := newEngine(t).store(nil).PushTo(ctx, outside, []string{"app", "debian", "node", "registry"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		e := newEngine(t)
		s := e.store(func(o *image.Options) { o.Registry = outside })
		if _, err := s.Build(ctx, []string{"app", "node"}, force, ui.Discard()); err != nil {
			t.Fatal(err)
		}
		if p, b, d, n := e.count("docker pull"), e.count("docker build --"), e.count("mmdebstrap"), e.count("node"); p != 0 || b != 2 || d != 1 || n != 1 {
			t.Errorf("force %v: %d pulls, %d builds, %d root file systems, %d nodes", force, p, b, d, n)
		}
	}
}

func TestRegistryIsDown(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	rec := &recorder{}
	s := e.store(func(o *image.Options) { o.Registry = "127.0.0.1:1" })
	if _, err := s.Ensure(context.Background(), []string{"web"}, rec); err != nil {
		t.Fatal(err)
	}
	if w := rec.warnings(); len(w) == 0 || !strings.Contains(w[0], "can't be pulled from 127.0.0.1:1") {
		t.Errorf("warnings %v", w)
	}
	if _, err := s.PushTo(context.Background(), "127.0.0.1:1", []string{"web"}, ui.Discard()); err == nil || clierr.Describe(err).Hint == "" {
		t.Errorf("push: %v", err)
	}
	if _, err := s.PushTo(context.Background(), "bad registry!", []string{"web"}, ui.Discard()); clierr.Code(err) != clierr.CodeUsage {
		t.Errorf("push to a strange name: %v", err)
	}
}

func TestDamagedCache(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s := e.store(nil)
	if _, err := s.Ensure(ctx, []string{"app", "web"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(someBlob(t, e.blobs), 5); err != nil {
		t.Fatal(err)
	}
	e.forget()
	rec := &recorder{}
	if _, err := s.Ensure(ctx, []string{"app", "web"}, rec); err != nil {
		t.Fatal(err)
	}
	if e.count("docker build --") > 0 || e.count("docker save") == 0 {
		t.Errorf("calls %v", e.calls)
	}
	if w := rec.warnings(); len(w) != 1 || !strings.Contains(w[0], "damaged") {
		t.Errorf("warnings %v", w)
	}
	if _, err := s.Repair(ctx, []string{"app", "web"}, ui.Discard()); err != nil {
		t.Error(err)
	}

	// A store that can't even be cleaned is thrown away; nodes still find the
	// one that takes its place.
	if err := s.Container().Join(ctx, "labctl"); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(someBlob(t, e.blobs), 5); err != nil {
		t.Fatal(err)
	}
	e.failOn["docker exec labctl-cache /registry garbage-collect"] = errors.New("can't read")
	e.forget()
	if _, err := s.Ensure(ctx, []string{"app", "web"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if e.count("docker volume rm labctl-cache") != 1 || e.count("docker build --") > 0 || !e.nets["labctl"] {
		t.Errorf("networks %v, calls %v", e.nets, e.calls)
	}
}

func TestBuildsAtHome(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s := e.store(nil)
	ask := func(want bool, names ...string) {
		t.Helper()
		if home, err := s.BuildsAtHome(ctx, names...); err != nil || home != want {
			t.Errorf("got %v, %v", home, err)
		}
	}
	ask(true)
	if n := e.count("docker run") + e.count("docker build"); n > 0 {
		t.Errorf("looking did something: %v", e.calls)
	}
	if _, err := s.Ensure(ctx, s.Names(), ui.Discard()); err != nil {
		t.Fatal(err)
	}
	ask(false)

	// What the engine has is enough; a cache that is stopped is left alone.
	e.stop()
	e.forget()
	ask(false)
	if e.count("docker start") != 0 {
		t.Errorf("looking did something: %v", e.calls)
	}
	// What only the cache has is found there.
	delete(e.images, engineName(t, e, "app"))
	ask(false)
	if e.count("docker start") != 1 {
		t.Errorf("calls %v", e.calls)
	}
	if err := s.Container().Remove(ctx); err != nil {
		t.Fatal(err)
	}
	ask(true)
	ask(false, "web")
}

// engineName gives the full name of an image that the engine has.
func engineName(t *testing.T, e *fakeEngine, name string) string {
	t.Helper()
	for ref := range e.images {
		if strings.HasPrefix(ref, "labctl.local/"+name+":") {
			return ref
		}
	}
	t.Fatalf("no image %s", name)
	return ""
}

func TestEngineImage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s := e.store(nil)
	if _, err := s.EngineImage(ctx, "app", ui.Discard()); err == nil {
		t.Error("app is not used from the engine")
	}
	if ref, err := s.EngineImage(ctx, "node", ui.Discard()); err != nil || ref != engineName(t, e, "node") {
		t.Errorf("%q, %v", ref, err)
	}
}

func TestListAndPrune(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s := e.store(nil)
	list, err := s.List(ctx)
	if err != nil || len(list) != 6 {
		t.Fatalf("%v, %v", list, err)
	}
	if _, err := s.Ensure(ctx, all, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if list, err = s.List(ctx); err != nil {
		t.Fatal(err)
	}
	for _, en := range list {
		if !en.Ready || en.Size == 0 || en.InCache == (en.Name == "node" || en.Name == "registry") {
			t.Errorf("%+v", en)
		}
	}

	// Nothing is stale yet.
	rep, err := s.Prune(ctx, image.PruneOptions{})
	if err != nil || len(rep.Removed) != 0 || rep.CacheFreed != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	// The definitions change: every version before that goes.
	fsys := definitions()
	fsys["app/new"] = fsys["app/Dockerfile"]
	newer := e.store(func(o *image.Options) { o.Definitions = fsys })
	if rep, err = newer.Prune(ctx, image.PruneOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rep.Removed {
		name, _, _ := strings.Cut(r, ":")
		got = append(got, name)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"cache/app", "cache/job", "engine/app", "engine/job"}, got); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if rep.CacheFreed == 0 || rep.EngineFreed == 0 {
		t.Errorf("%+v", rep)
	}
	if rep, err = newer.Prune(ctx, image.PruneOptions{All: true}); err != nil || len(rep.Removed) != 5 {
		t.Errorf("all: %+v, %v", rep, err)
	}
	if err := newer.Remove(ctx); err != nil {
		t.Error(err)
	}
	if e.server != nil || len(e.images) > 0 {
		t.Errorf("left: %v", e.images)
	}
}
