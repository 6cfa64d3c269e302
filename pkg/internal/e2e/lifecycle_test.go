//go:build e2e

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// upResult is the part of `labctl up -o json` that the tests read.
type upResult struct {
	Lab       string
	Namespace string
	Changed   bool
	Endpoints []struct{ Name, Command string }
	NotReady  []struct{ Kind, Name string }
}

type statusResult struct {
	Cluster string
	Labs    []struct {
		Lab, State string
		Workloads  []struct {
			Kind, Name string
			Ready      bool
		}
	}
}

// TestLifecycle is the life of a lab on the local cluster, with everything that
// goes wrong on the way. The parts build on each other, so the first failure
// ends it.
func TestLifecycle(t *testing.T) {
	m := newMachine(t)
	t.Cleanup(func() { m.run(t, "down", "--all") })

	part := func(name string, f func(t *testing.T)) {
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	part("the machine is fit", func(t *testing.T) {
		report := decode[struct{ Fit bool }](t, m.ok(t, "doctor", "-o", "json").stdout)
		if !report.Fit {
			t.Error("doctor exits 0 and says unfit")
		}
	})
	part("nothing is up", func(t *testing.T) {
		m.fails(t, 1, []string{"labctl up " + labName}, "open", labName)
		s := decode[statusResult](t, m.ok(t, "status", "-o", "json").stdout)
		if s.Cluster != "absent" || len(s.Labs) != 0 {
			t.Errorf("status is %+v", s)
		}
		m.ok(t, "down", labName)
	})
	part("kill -9 while the cluster is made", func(t *testing.T) {
		p := m.start(t, "up", labName)
		p.waitFor(t, "==> Cluster")
		eventually(t, "the node's container exists", patience, func() bool { return nodeContainer(t) == "running" })
		p.kill(t)
		s := decode[statusResult](t, m.ok(t, "status", "-o", "json").stdout)
		if s.Cluster != "partial" {
			t.Errorf("after the kill the cluster is %q, want partial", s.Cluster)
		}
	})
	part("Ctrl-C while the cluster is made", func(t *testing.T) {
		p := m.start(t, "up", labName)
		p.waitFor(t, "preparing nodes")
		eventually(t, "the node's container runs", patience, func() bool { return nodeContainer(t) == "running" })
		if code := p.interrupt(t); code != 130 {
			t.Errorf("exit code %d, want 130", code)
		}
		if c := nodeContainer(t); c != "" {
			t.Errorf("the half-made node is still there: %s", c)
		}
	})
	// Each of these cuts off the one before, in the order of the steps.
	for _, at := range []string{"==> Machine", "==> Image cache", "pulling", "==> Lab " + labName, "==> Workloads"} {
		part("kill -9 at "+at, func(t *testing.T) {
			p := m.start(t, "up", labName)
			p.waitFor(t, at)
			p.kill(t)
		})
		part("Ctrl-C at "+at, func(t *testing.T) {
			p := m.start(t, "up", labName)
			p.waitFor(t, at)
			// It may be done in the very moment; then it has nothing to stop.
			if code := p.interrupt(t); code != 130 && code != 0 {
				t.Errorf("exit code %d, want 130", code)
			}
			s := decode[statusResult](t, m.ok(t, "status", "-o", "json").stdout)
			if s.Cluster == "partial" {
				t.Error("a half-made cluster is left")
			}
		})
	}
	part("two at once", func(t *testing.T) {
		m.ok(t, "down", "--all")
		first := m.start(t, "up", labName, "-o", "json")
		first.waitFor(t, "==> ")
		second := m.start(t, "up", labName, "-o", "json")
		second.waitFor(t, "Waiting for")
		if code := first.end(t); code != 0 {
			t.Fatalf("the first up: exit %d", code)
		}
		if code := second.end(t); code != 0 {
			t.Fatalf("the second up: exit %d", code)
		}
		if r := decode[upResult](t, first.out.String()); !r.Changed || len(r.Endpoints) == 0 || r.Namespace != "lab-"+labName {
			t.Errorf("the first up says %+v", r)
		}
		if r := decode[upResult](t, second.out.String()); r.Changed || len(r.NotReady) != 0 {
			t.Errorf("the second up says %+v", r)
		}
	})
	part("the seed is there", m.wantSeed)
	part("status, logs, shell", func(t *testing.T) {
		s := decode[statusResult](t, m.ok(t, "status", labName, "-o", "json").stdout)
		if len(s.Labs) != 1 || s.Labs[0].State != "ready" || len(s.Labs[0].Workloads) < 4 {
			t.Errorf("status is %+v", s)
		}
		if out := m.ok(t, "logs", labName, "mlflow", "--tail", "20").stdout; out == "" {
			t.Error("no logs of mlflow")
		}
		m.fails(t, 2, []string{"the components are"}, "logs", labName, "nothing")
		if out := m.ok(t, "shell", labName, "--", "python3", "-c", "print(6*7)").stdout; strings.TrimSpace(out) != "42" {
			t.Errorf("shell says %q", out)
		}
		if r := m.run(t, "shell", labName, "--", "sh", "-c", "exit 7"); r.code != 7 {
			t.Errorf("shell: exit %d, want that of the command, 7", r.code)
		}
	})
	userConfig := filepath.Join(t.TempDir(), "config")
	part("kubeconfig", func(t *testing.T) { wantKubeconfig(t, m, userConfig) })
	part("what the learner changed stays", func(t *testing.T) {
		kubectl(t, m, "scale", "deployment/mlflow", "--replicas=0")
		eventually(t, "mlflow has no pod", reconnectTime, func() bool {
			return kubectl(t, m, "get", "pods", "-l", "app=mlflow", "-o", "name") == ""
		})
		m.ok(t, "up", labName, "-o", "json")
		if n := kubectl(t, m, "get", "deployment/mlflow", "-o", "jsonpath={.spec.replicas}"); n != "0" {
			t.Errorf("up set the learner's replicas back to %s", n)
		}
		kubectl(t, m, "scale", "deployment/mlflow", "--replicas=1")
		kubectl(t, m, "rollout", "status", "deployment/mlflow", "--timeout=180s")
	})
	part("open survives a new pod", func(t *testing.T) {
		url, p := m.open(t, "mlflow")
		eventually(t, "MLflow answers", reconnectTime, func() bool { return mlflowAnswers(t, url) })
		old := kubectl(t, m, "get", "pods", "-l", "app=mlflow", "-o", "name")
		kubectl(t, m, "delete", old, "--wait=true")
		eventually(t, "MLflow answers at the same URL", reconnectTime, func() bool { return mlflowAnswers(t, url) })
		if code := p.interrupt(t); code != 0 {
			t.Errorf("open ends with %d after Ctrl-C, want 0", code)
		}
	})
	part("trouble is told at once", func(t *testing.T) { wantTrouble(t, m) })
	part("pause and resume", func(t *testing.T) {
		m.ok(t, "pause")
		if c := nodeContainer(t); c != "exited" {
			t.Errorf("after pause the node is %q", c)
		}
		m.fails(t, 1, []string{"labctl resume"}, "open", labName)
		m.ok(t, "resume")
		m.wantSeed(t)
	})
	part("up starts a node that died with the engine", func(t *testing.T) {
		docker(t, "kill", clusterName+"-control-plane")
		m.ok(t, "up", labName)
		eventually(t, "the lab is ready", reconnectTime, func() bool {
			s := decode[statusResult](t, m.ok(t, "status", labName, "-o", "json").stdout)
			return len(s.Labs) == 1 && s.Labs[0].State == "ready"
		})
	})
	part("down leaves nothing", func(t *testing.T) {
		m.ok(t, "down", labName)
		wantNothing(t, m)
		config, err := os.ReadFile(userConfig)
		if err != nil || strings.Contains(string(config), "labctl") || !strings.Contains(string(config), "current-context: work") {
			t.Errorf("the user's kubeconfig is not as it was: %v\n%s", err, config)
		}
		m.ok(t, "down", "--all")
	})
}

// kubectl runs the client that is on every node, with the lab's namespace.
func kubectl(t *testing.T, _ *machine, args ...string) string {
	t.Helper()
	base := []string{"exec", clusterName + "-control-plane", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "-n", "lab-" + labName}
	return docker(t, append(base, args...)...)
}

func wantKubeconfig(t *testing.T, m *machine, mine string) {
	t.Helper()
	path := strings.TrimSpace(m.ok(t, "kubeconfig", labName, "--path").stdout)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig has mode %v", info.Mode().Perm())
	}
	before := "apiVersion: v1\nkind: Config\ncurrent-context: work\ncontexts:\n- name: work\n  context: {cluster: c, user: u}\nclusters:\n- name: c\n  cluster: {server: https://example.invalid}\nusers:\n- name: u\n"
	if err := os.WriteFile(mine, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	m.ok(t, "kubeconfig", labName, "--merge", "--into", mine)
	after, err := os.ReadFile(mine)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"current-context: work", "name: labctl-" + labName, "namespace: lab-" + labName, "https://example.invalid"} {
		if !strings.Contains(string(after), want) {
			t.Errorf("the merged kubeconfig lacks %q", want)
		}
	}
}

// wantTrouble brings up labs that can't come up: the wait must end with the
// reason, long before any deadline.
func wantTrouble(t *testing.T, m *machine) {
	t.Helper()
	tests := []struct {
		lab   string
		words []string
	}{
		{"crash", []string{"no such table: runs", "labctl logs crash"}},
		{"too-big", []string{"Insufficient", "cpu"}},
		{"out-of-memory", []string{"memory", "OOMKilled"}},
		{"no-image", []string{"no-such-image"}},
	}
	dir, err := filepath.Abs("testdata/labs")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.lab, func(t *testing.T) {
			begin := time.Now()
			m.fails(t, 1, tt.words, "up", tt.lab, "--labs-dir", dir, "--ignore", "cpu,memory")
			if took := time.Since(begin); took > 3*time.Minute {
				t.Errorf("it took %s to say so", took)
			}
			m.ok(t, "down", tt.lab, "--labs-dir", dir)
		})
	}
}

// wantNothing proves that nothing of the cluster is left but the image cache.
func wantNothing(t *testing.T, m *machine) {
	t.Helper()
	if c := nodeContainer(t); c != "" {
		t.Errorf("a node is left: %s", c)
	}
	for _, kind := range []string{"container", "network", "volume"} {
		args := []string{kind, "ls", "--filter", "label=dev.labctl.owner=labctl", "--format", "{{.Name}}"}
		if kind == "container" {
			args = []string{"ps", "-a", "--filter", "label=dev.labctl.owner=labctl", "--format", "{{.Names}}"}
		}
		left := slices.DeleteFunc(strings.Fields(docker(t, args...)), func(n string) bool { return n == "labctl-cache" })
		if len(left) > 0 {
			t.Errorf("a %s is left: %v", kind, left)
		}
	}
	err := filepath.WalkDir(m.state, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(filepath.Base(path), "kubeconfig") {
			t.Errorf("a kubeconfig is left: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
