//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/image/cache"
	dockercli "labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/state"
)

// otherCluster stands for a cluster of somebody else.
const otherCluster = "labctl-e2e-other"

// network is the one that kind is told to use; see pkg/app.
const network = "labctl"

// TestExistingCluster: a lab on a cluster that labctl did not make. labctl gets
// its kubeconfig and a registry, nothing else; the node is joined to the
// registry as an instructor would configure a mirror.
func TestExistingCluster(t *testing.T) {
	m := newMachine(t)
	m.ok(t, "images", "pull")
	registry := "127.0.0.1:" + port(t)
	kubeconfig := makeOther(t, registry)

	m.fails(t, 1, []string{"--registry"}, "up", labName, "--kubeconfig", kubeconfig)
	r := decode[upResult](t, m.ok(t, "up", labName, "--kubeconfig", kubeconfig, "--registry", registry, "-o", "json").stdout)
	if !r.Changed {
		t.Errorf("up says %+v", r)
	}
	// From here on the target is remembered.
	if c := nodeContainer(t); c != "" {
		t.Errorf("up on an existing cluster made a local one: %s", c)
	}
	m.wantSeed(t)
	s := decode[statusResult](t, m.ok(t, "status", labName, "-o", "json").stdout)
	if len(s.Labs) != 1 || s.Labs[0].State != "ready" {
		t.Errorf("status is %+v", s)
	}
	m.ok(t, "down", labName)
	namespaces := otherKubectl(t, "get", "namespaces", "-o", "name")
	if strings.Contains(namespaces, "lab-"+labName) {
		t.Errorf("down left the namespace that up made:\n%s", namespaces)
	}
	m.keepsForeignNamespace(t, kubeconfig, registry)
	m.provesAsStudent(t, kubeconfig, registry)
}

// keepsForeignNamespace: a namespace that was there before stays.
func (m *machine) keepsForeignNamespace(t *testing.T, kubeconfig, registry string) {
	t.Helper()
	otherKubectl(t, "create", "namespace", "lab-"+labName)
	m.ok(t, "up", labName, "--kubeconfig", kubeconfig, "--registry", registry)
	m.ok(t, "down", labName)
	if !strings.Contains(otherKubectl(t, "get", "namespaces", "-o", "name"), "lab-"+labName) {
		t.Error("down removed a namespace that up did not make")
	}
	if left := otherKubectl(t, "get", "pods,secrets,persistentvolumeclaims", "-n", "lab-"+labName, "-o", "name"); left != "" {
		t.Errorf("down left %s", left)
	}
}

// otherKubectl runs kubectl on the node of the other cluster.
func otherKubectl(t *testing.T, args ...string) string {
	t.Helper()
	base := []string{"exec", otherCluster + "-control-plane", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"}
	return docker(t, append(base, args...)...)
}

// port gives the local port of the image cache.
func port(t *testing.T) string {
	t.Helper()
	var c struct {
		NetworkSettings struct {
			Ports map[string][]struct{ HostPort string }
		}
	}
	if err := json.Unmarshal([]byte(strings.Trim(docker(t, "inspect", cache.Name), "[] \n")), &c); err != nil {
		t.Fatal(err)
	}
	return c.NetworkSettings.Ports["5000/tcp"][0].HostPort
}

// makeOther makes the cluster and gives the path of its kubeconfig.
func makeOther(t *testing.T, registry string) string {
	t.Helper()
	t.Setenv(cluster.NetworkEnv, network)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Minute)
	t.Cleanup(cancel)
	dir, err := state.Open(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := dir.ClusterID()
	if err != nil {
		t.Fatal(err)
	}
	cli := dockerCLI()
	manager := cluster.New(cli, id, slog.New(slog.DiscardHandler))
	image := nodeImage(t)
	host, err := manager.Host(ctx, image)
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.EnsureNetwork(ctx, network); err != nil {
		t.Fatal(err)
	}
	spec := cluster.Spec{
		Name: otherCluster, Image: image, IDDir: id.Dir, Network: network, Host: host,
		Kubeconfig: filepath.Join(t.TempDir(), "other.kubeconfig"),
	}
	t.Cleanup(func() {
		// The proofs on the cluster may have taken longer than its making may.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
		defer cancel()
		if err := manager.Delete(ctx, otherCluster); err != nil {
			t.Error(err)
		}
	})
	if err := manager.Create(ctx, spec, func(msg string) { t.Log(msg) }); err != nil {
		t.Fatal(err)
	}
	// The node's side of a mirror: the registry's name leads to the cache.
	node := cluster.NodeName(otherCluster)
	if err := cache.NewContainer(cli).Join(ctx, network); err != nil {
		t.Fatal(err)
	}
	hosts := "[host.\"http://" + cache.Address + "\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
	if err := cli.WriteFile(ctx, node, "/etc/containerd/certs.d/"+registry+"/hosts.toml", []byte(hosts)); err != nil {
		t.Fatal(err)
	}
	return spec.Kubeconfig
}

func dockerCLI() *dockercli.CLI { return dockercli.New(execx.Local{}) }

// nodeImage finds the node image that `images pull` left in the engine.
func nodeImage(t *testing.T) string {
	t.Helper()
	m := newMachine(t)
	for _, img := range decode[[]struct{ Name, Tag string }](t, m.ok(t, "images", "list", "-o", "json").stdout) {
		if img.Name == "node" {
			return "labctl.local/node:" + img.Tag
		}
	}
	t.Fatal("there is no node image")
	return ""
}
