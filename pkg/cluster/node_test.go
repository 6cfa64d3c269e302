package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"labctl.dev/labctl/pkg/clierr"
)

// booting is an engine whose node has ended, or will end, in each of its lives.
func booting(lives ...string) *fakeEngine {
	n := ours()
	n.done = true
	return &fakeEngine{nodes: []fakeNode{n}, boots: append([]string{}, lives...)}
}

func TestWaitContainerd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		engine *fakeEngine
		want   error
	}{
		"boots":              {booting("Reached target Multi-User System.\n"), nil},
		"boots at 2nd start": {booting("panic\n", "detected cgroup v1\n"), nil},
		"never":              {booting(), errLogEnd},
		"no node":            {&fakeEngine{}, errSlow},
		"not ours":           {&fakeEngine{nodes: []fakeNode{{name: "lab-control-plane", status: "running"}}}, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, tt.engine, fakeKind{})
				start := time.Now()
				err := m.WaitContainerd(t.Context(), Spec{Name: "lab"})
				if !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				slow := errors.Is(err, errLogEnd) || errors.Is(err, errSlow)
				if slow != (time.Since(start) >= readyTime) || slow && clierr.Describe(err).Hint == "" {
					t.Errorf("ended after %s: %+v", time.Since(start), clierr.Describe(err))
				}
			})
		})
	}
}

// TestWaitContainerdWaitsForItsConfiguration: kind restarts containerd after it
// has changed the configuration, which would cut off a pull.
func TestWaitContainerdWaitsForItsConfiguration(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		host Host
		want string
	}{
		"nothing changes": {Host{NoSysResource: true, Patched: true}, "until { ctr version; } >/dev/null 2>&1; do sleep 0.1; done"},
		"both change": {
			Host{CgroupV1: true, NoSysResource: true},
			"until { grep -q 'SystemdCgroup = false' /etc/containerd/config.toml && grep -q 'restrict_oom_score_adj = true' /etc/containerd/config.toml && " +
				"test /run/containerd/containerd.sock -nt /etc/containerd/config.toml && ctr version; } >/dev/null 2>&1; do sleep 0.1; done",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := booting("detected cgroup v1\n")
			if err := newManager(t, engine, fakeKind{}).WaitContainerd(t.Context(), Spec{Name: "lab", Host: tt.host}); err != nil {
				t.Fatal(err)
			}
			if calls := engine.called("exec"); len(calls) != 1 || !strings.HasSuffix(calls[0], tt.want) {
				t.Errorf("calls %q, want one that ends with %q", calls, tt.want)
			}
		})
	}
}

// TestWaitContainerdLetsCreateSpeak: the error of whoever makes the node counts.
func TestWaitContainerdLetsCreateSpeak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, booting(), fakeKind{})
		ctx, cancel := context.WithCancelCause(t.Context())
		failed := errors.New("creation failed")
		time.AfterFunc(time.Minute, func() { cancel(failed) })
		if err := m.WaitContainerd(ctx, Spec{Name: "lab"}); !errors.Is(err, failed) {
			t.Errorf("error %v", err)
		}
	})
}

func TestStartWaitsForBoot(t *testing.T) {
	t.Parallel()
	engine := booting("Reached target Multi-User System.\n")
	if err := newManager(t, engine, fakeKind{}).Start(t.Context(), "lab"); err != nil || len(engine.called("logs")) != 1 {
		t.Errorf("%v, calls %q", err, engine.calls)
	}
	engine = booting("out of memory\n")
	err := newManager(t, engine, fakeKind{}).Start(t.Context(), "lab")
	if !errors.Is(err, errLogEnd) || !strings.Contains(clierr.Describe(err).Hint, "docker logs lab-control-plane") {
		t.Errorf("error %v", err)
	}
}
