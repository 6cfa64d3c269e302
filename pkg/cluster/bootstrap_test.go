package cluster

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kind/pkg/exec"

	"labctl.dev/labctl/pkg/clierr"
)

// TestCreateBootstraps covers node images that bring their network along: kind
// only makes the node.
func TestCreateBootstraps(t *testing.T) {
	s := spec(t)
	s.Host.BuiltinCNI = true
	engine := &fakeEngine{kubeadm: "[certs] Using certificateDir folder\nI1 noise\n[addons] Applied essential addon: CoreDNS\n"}
	k := fakeKind{create: func(string) error { engine.add(ours()); return nil }}
	m := newManager(t, engine, k)
	var progress []string
	if err := m.Create(t.Context(), s, func(msg string) { progress = append(progress, msg) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"making certificates", "starting add-ons"}, progress); diff != "" {
		t.Error(diff)
	}
	if raw, err := os.ReadFile(s.Kubeconfig); err != nil || string(raw) != "kind: Config\n" {
		t.Errorf("kubeconfig %q, %v", raw, err)
	}
	if st, err := m.State(t.Context(), "lab"); err != nil || st.Phase != Running {
		t.Errorf("state %v, %v", st, err)
	}
}

func TestBootstrapFails(t *testing.T) {
	s := spec(t)
	s.Host.BuiltinCNI = true
	logs := t.TempDir()
	s.Logs = func() (string, error) { return logs, nil }
	engine := &fakeEngine{kubeadm: "[init] Using Kubernetes version\nerror: unresolved dependencies\n", fail: map[string]string{"exec --privileged": ""}}
	k := fakeKind{create: func(string) error { engine.add(ours()); return nil }}
	err := newManager(t, engine, k).Create(t.Context(), s, func(string) {})
	d := clierr.Describe(err)
	if !strings.Contains(d.Detail, "unresolved dependencies") || !strings.Contains(d.Hint, logs) {
		t.Errorf("error %+v", d)
	}
	if len(engine.nodes) != 0 {
		t.Errorf("left %v", engine.nodes)
	}
}

func TestEngineDies(t *testing.T) {
	s := spec(t)
	s.Logs = func() (string, error) { t.Error("logs of an engine that is gone"); return "", nil }
	engine := &fakeEngine{}
	k := fakeKind{create: func(string) error {
		engine.mu.Lock()
		defer engine.mu.Unlock()
		engine.fail = map[string]string{"": "Cannot connect to the Docker daemon at unix:///var/run/docker.sock"}
		return &exec.RunError{Command: []string{"docker"}, Output: []byte("[certs] making"), Inner: errors.New("exit status 137")}
	}}
	err := newManager(t, engine, k).Create(t.Context(), s, func(string) {})
	if d := clierr.Describe(err); d.ID != "engine-down" || d.Code != clierr.CodeUnfit {
		t.Errorf("error %+v", d)
	}
}
