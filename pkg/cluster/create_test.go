package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/exec"

	"labctl.dev/labctl/pkg/clierr"
)

// spec gives a valid spec; it needs NetworkEnv, so its tests are not parallel.
func spec(t *testing.T) Spec {
	t.Helper()
	t.Setenv(NetworkEnv, "net")
	return Spec{
		Name: "lab", Image: "labctl.local/node:1", IDDir: ourDir, Network: "net",
		Kubeconfig: filepath.Join(t.TempDir(), "clusters", "lab", "kubeconfig"),
	}
}

func ours() fakeNode {
	return fakeNode{name: "lab-control-plane", status: "running", cluster: "lab", mount: ourDir}
}

func TestCreate(t *testing.T) {
	s := spec(t)
	engine := &fakeEngine{}
	k := fakeKind{create: func(string) error {
		engine.add(ours())
		return os.WriteFile(s.Kubeconfig+".new", []byte("credentials"), 0o600)
	}}
	// A killed process may have left kind's lock.
	if err := os.MkdirAll(filepath.Dir(s.Kubeconfig), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Kubeconfig+".new.lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := newManager(t, engine, k)
	if err := m.Create(t.Context(), s, func(string) {}); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(s.Kubeconfig))
	if err != nil || len(files) != 1 || files[0].Name() != "kubeconfig" {
		t.Errorf("files %v, %v", files, err)
	}
	if st, err := m.State(t.Context(), "lab"); err != nil || st.Phase != Running {
		t.Errorf("state %v, %v", st, err)
	}
	if err := m.Create(t.Context(), s, func(string) {}); !errors.Is(err, ErrExists) {
		t.Errorf("a second creation: %v", err)
	}
}

func TestCreateReplacesHalfMade(t *testing.T) {
	s := spec(t)
	engine := &fakeEngine{nodes: []fakeNode{ours()}}
	k := fakeKind{create: func(string) error {
		if len(engine.called("rm")) == 0 {
			t.Error("the half-made cluster is still there")
		}
		engine.add(ours())
		return os.WriteFile(s.Kubeconfig+".new", nil, 0o600)
	}}
	if err := newManager(t, engine, k).Create(t.Context(), s, func(string) {}); err != nil {
		t.Fatal(err)
	}
}

func TestCreateFails(t *testing.T) {
	s := spec(t)
	logs := t.TempDir()
	s.Logs = func() (string, error) { return logs, nil }
	engine := &fakeEngine{}
	collected := false
	k := fakeKind{
		create: func(string) error {
			engine.add(ours())
			return &exec.RunError{Command: []string{"docker", "exec"}, Output: []byte("one\n\nno space left on device\n"), Inner: errors.New("exit status 1")}
		},
		logs: func(dir string) error {
			collected = dir == logs && len(engine.called("rm")) == 0
			return errors.New("some are missing")
		},
	}
	err := newManager(t, engine, k).Create(t.Context(), s, func(string) {})
	d := clierr.Describe(err)
	if d.ID != "disk-full" || !strings.Contains(d.Detail, "no space left") || !strings.Contains(d.Hint, logs) {
		t.Errorf("error %+v", d)
	}
	if !collected {
		t.Error("logs were not kept before the nodes were removed")
	}
	if len(engine.nodes) != 0 {
		t.Errorf("left %v", engine.nodes)
	}
}

func TestCreateTriesAnotherPort(t *testing.T) {
	s := spec(t)
	engine := &fakeEngine{}
	tries := 0
	k := fakeKind{create: func(string) error {
		tries++
		engine.add(ours())
		if tries == 1 {
			return &exec.RunError{Command: []string{"docker"}, Output: []byte("Bind for 127.0.0.1:40000 failed: port is already allocated"), Inner: errors.New("exit status 125")}
		}
		return os.WriteFile(s.Kubeconfig+".new", nil, 0o600)
	}}
	if err := newManager(t, engine, k).Create(t.Context(), s, func(string) {}); err != nil || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

func TestCreateIsCancelled(t *testing.T) {
	s := spec(t)
	engine := &fakeEngine{}
	ctx, cancel := context.WithCancelCause(t.Context())
	returned := false
	k := fakeKind{create: func(string) error {
		engine.add(ours())
		cancel(clierr.ErrInterrupted)
		// kind goes on until its node is gone; a slow `docker run` brings
		// another one.
		for len(engine.called("rm")) == 0 {
			if ctx.Err() == nil {
				t.Error("not cancelled")
			}
		}
		engine.add(ours())
		returned = true
		return errors.New("node is gone")
	}}
	err := newManager(t, engine, k).Create(ctx, s, func(string) {})
	if !errors.Is(err, clierr.ErrInterrupted) || clierr.Code(err) != clierr.CodeInterrupted {
		t.Errorf("error %v", err)
	}
	if !returned || len(engine.nodes) != 0 {
		t.Errorf("kind returned: %v, left: %v", returned, engine.nodes)
	}
	if _, err := os.Stat(s.Kubeconfig); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("kubeconfig: %v", err)
	}
}

func TestCreateNeedsImage(t *testing.T) {
	s := spec(t)
	engine := &fakeEngine{fail: map[string]string{"inspect --type=image": "Error: No such image: x"}}
	err := newManager(t, engine, fakeKind{}).Create(t.Context(), s, func(string) {})
	if clierr.Describe(err).Hint == "" {
		t.Errorf("error %v", err)
	}
}
