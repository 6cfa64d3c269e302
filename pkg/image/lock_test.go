package image_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gofrs/flock"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/ui"
)

// lockable gives a store and the lock that another process would take.
func lockable(t *testing.T, e *fakeEngine) (*image.Store, *flock.Flock) {
	t.Helper()
	var dir string
	s := e.store(func(o *image.Options) { dir = o.WorkDir })
	return s, flock.New(filepath.Join(dir, "lock"))
}

func mustLock(t *testing.T, l *flock.Flock) {
	t.Helper()
	if ok, err := l.TryLock(); !ok || err != nil {
		t.Fatalf("lock: %v, %v", ok, err)
	}
}

// The cache is made, or started, only with the lock; one that runs is used at once.
func TestCacheWaitsForLock(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s, other := lockable(t, e)
	if _, err := s.Ensure(ctx, []string{"app"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	mustLock(t, other)
	if _, err := s.EnsureCache(ctx, &recorder{onNote: func() { t.Error("a cache that runs is waited for") }}); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"stopped": func() error { e.stop(); return nil },
		"removed": func() error { return s.Container().Remove(ctx) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		e.forget()
		waited := false
		rec := &recorder{onNote: func() {
			waited = true
			if n := e.count("docker run") + e.count("docker start") + e.count("docker rm"); n > 0 {
				t.Errorf("%s: it did something without the lock: %v", name, e.calls)
			}
			if err := other.Unlock(); err != nil {
				t.Error(err)
			}
		}}
		if _, err := s.EnsureCache(ctx, rec); err != nil {
			t.Fatal(err)
		}
		if n := e.count("docker run") + e.count("docker start"); !waited || n != 1 {
			t.Errorf("%s: waited %v, %v", name, waited, e.calls)
		}
		mustLock(t, other)
	}
}

// A lock on a file that Remove took away keeps nobody out, so it is not enough.
func TestLockAfterRemove(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s, other := lockable(t, e)
	if err := os.MkdirAll(filepath.Dir(other.Path()), 0o700); err != nil {
		t.Fatal(err)
	}
	mustLock(t, other)
	rec := &recorder{onNote: func() {
		if err := errors.Join(os.RemoveAll(filepath.Dir(other.Path())), other.Unlock()); err != nil {
			t.Error(err)
		}
	}}
	e.onBuild = func() {
		if ok, err := flock.New(other.Path()).TryLock(); ok || err != nil {
			t.Errorf("the lock is free (%v)", err)
		}
	}
	if _, err := s.EnsureCache(ctx, rec); err != nil {
		t.Fatal(err)
	}
	if e.count("docker build --") != 1 {
		t.Errorf("calls %v", e.calls)
	}
}

// Nobody can prune while images are read for a push.
func TestPushHoldsLock(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEngine(t)
	s, other := lockable(t, e)
	if _, err := s.Ensure(ctx, []string{"app", "node"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	inner := newRegistry(t.TempDir())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if ok, err := flock.New(other.Path()).TryLock(); ok || err != nil {
			t.Errorf("%s %s: the lock is free (%v)", r.Method, r.URL.Path, err)
		}
		inner.ServeHTTP(w, r)
	}))
	defer srv.Close()
	if _, err := s.PushTo(ctx, strings.TrimPrefix(srv.URL, "http://"), []string{"app", "node"}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	if requests.Load() == 0 {
		t.Error("nothing was pushed")
	}
	mustLock(t, other)
}

func TestRemove(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		e := newEngine(t)
		s, other := lockable(t, e)
		if _, err := s.Ensure(ctx, all, ui.Discard()); err != nil {
			t.Fatal(err)
		}
		e.says["docker ps --all --quiet --filter label=dev.labctl.build"] = "c1\n"
		e.failOn["docker rm --force --volumes labctl-build-node"] = notFound("container: labctl-build-node")
		e.forget()
		if err := s.Remove(ctx); err != nil {
			t.Fatal(err)
		}
		if e.runs != "" || len(e.images) > 0 {
			t.Errorf("left: cache of %q, %v", e.runs, e.images)
		}
		for _, want := range []string{
			"docker volume rm labctl-cache",
			"docker rm --force --volumes c1",
			"docker image prune --force --filter label=dev.labctl.owner=labctl",
		} {
			if !slices.Contains(e.calls, want) {
				t.Errorf("no %s", want)
			}
		}
		if _, err := os.Stat(filepath.Dir(other.Path())); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the work directory is there: %v", err)
		}
		// Nothing there is no error, and all can be made again.
		if err := s.Remove(ctx); err != nil {
			t.Error(err)
		}
		if _, err := s.Ensure(ctx, []string{"app"}, ui.Discard()); err != nil {
			t.Error(err)
		}
	})
	t.Run("in use", func(t *testing.T) {
		t.Parallel()
		e := newEngine(t)
		s, other := lockable(t, e)
		if _, err := s.Ensure(ctx, all, ui.Discard()); err != nil {
			t.Fatal(err)
		}
		node := engineName(t, e, "node")
		e.failOn["docker rmi "+node] = &execx.ExitError{
			Command: "docker rmi", Code: 1,
			Stderr: "Error response from daemon: conflict: unable to remove repository reference (must force) - container 182954659f51 is using its referenced image",
		}
		e.says["docker ps --all --filter ancestor="+node] = "other-control-plane\n"
		err := s.Remove(ctx)
		if !errors.Is(err, image.ErrInUse) || !strings.Contains(err.Error(), node+" (other-control-plane)") || clierr.Describe(err).Hint == "" {
			t.Errorf("got %v", err)
		}
		if len(e.images) != 1 || e.runs != "" {
			t.Errorf("left: cache of %q, %v", e.runs, e.images)
		}
		if _, err := os.Stat(filepath.Dir(other.Path())); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the work directory is there: %v", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		e := newEngine(t)
		s := e.store(nil)
		if _, err := s.Ensure(ctx, []string{"node"}, ui.Discard()); err != nil {
			t.Fatal(err)
		}
		e.failOn["docker rmi"] = errors.New("input/output error")
		if err := s.Remove(ctx); err == nil || errors.Is(err, image.ErrInUse) {
			t.Errorf("got %v", err)
		}
	})
}
