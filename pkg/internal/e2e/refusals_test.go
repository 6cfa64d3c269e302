//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRefusals: bad input and a foreign cluster change nothing and say what to
// do.
func TestRefusals(t *testing.T) {
	m := newMachine(t)
	tests := []struct {
		name  string
		code  int
		words []string
		args  []string
	}{
		{"near match", 2, []string{"model-registry", "labctl list"}, []string{"up", "model-registri"}},
		{"hostile name", 2, []string{"labctl list"}, []string{"up", "../../etc; rm -rf /"}},
		{"name with escape codes", 2, []string{"labctl list"}, []string{"up", "\x1b[31mred"}},
		{"no lab", 2, []string{"usage"}, []string{"up"}},
		{"two labs", 2, []string{"usage"}, []string{"up", "a", "b"}},
		{"unknown flag", 2, []string{"--frobnicate"}, []string{"up", labName, "--frobnicate"}},
		{"unknown command", 2, []string{"frobnicate"}, []string{"frobnicate"}},
		{"bad output", 2, []string{"text or json"}, []string{"list", "-o", "xml"}},
		{"registry without a cluster", 2, []string{"--kubeconfig"}, []string{"up", labName, "--registry", "registry.example.com"}},
		{"no such kubeconfig", 1, []string{"--kubeconfig"}, []string{"up", labName, "--kubeconfig", "/nowhere/config"}},
		{"no such endpoint", 2, []string{"mlflow"}, []string{"open", labName, "nothing"}},
		{"bad port", 2, []string{"65535"}, []string{"open", labName, "mlflow", "--port", "70000"}},
		{"down what", 2, []string{"labctl down --all"}, []string{"down"}},
		{"purge of one lab", 2, []string{"--all"}, []string{"down", labName, "--purge"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { m.fails(t, tt.code, tt.words, tt.args...) })
	}
}

// TestForeignCluster: a cluster of our name that somebody else made is never
// touched.
func TestForeignCluster(t *testing.T) {
	m := newMachine(t)
	m.ok(t, "images", "build", "registry")
	image := docker(t, "images", "labctl.local/registry", "--format", "{{.Repository}}:{{.Tag}}")
	name := clusterName + "-control-plane"
	docker(t, "create", "--name", name, "--label", "io.x-k8s.kind.cluster="+clusterName, "--label", "io.x-k8s.kind.role=control-plane", firstLine(image))
	t.Cleanup(func() { docker(t, "rm", "-f", name) })

	m.fails(t, 1, []string{"kind delete cluster --name " + clusterName, "LABCTL_CLUSTER"}, "up", labName)
	m.ok(t, "down", "--all")
	if nodeContainer(t) == "" {
		t.Error("down --all removed a cluster that is not ours")
	}
}

// TestCorruptState: a state directory full of rubbish is set aside, with a
// warning, and nothing is lost.
func TestCorruptState(t *testing.T) {
	m := newMachine(t)
	for _, f := range []string{"cluster-id", "targets/model-registry.json"} {
		path := filepath.Join(m.state, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("\x00{{{ rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := m.ok(t, "status")
	if r.stderr == "" {
		t.Error("no warning about the corrupt state")
	}
}

// TestEngineDown: without an engine every command says so and what to do.
func TestEngineDown(t *testing.T) {
	m := newMachine(t)
	m.extra = []string{"DOCKER_HOST=unix:///nowhere/docker.sock"}
	m.fails(t, 4, []string{"labctl doctor"}, "up", labName)
	r := m.run(t, "doctor", "-o", "json")
	if r.code != 4 {
		t.Errorf("doctor: exit %d, want 4", r.code)
	}
	report := decode[struct {
		Fit      bool
		Findings []struct{ ID, Status string }
	}](t, r.stdout)
	if report.Fit || len(report.Findings) == 0 {
		t.Errorf("report is %+v", report)
	}
}
