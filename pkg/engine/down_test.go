package engine

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/state"
)

// nobody owns no node.
type nobody struct{}

func (nobody) Owns(string) bool { return false }

// withoutCluster gives an engine on a machine that has neither cluster nor
// network.
func withoutCluster(t *testing.T) *Engine {
	t.Helper()
	e := testEngine(t)
	gone := &execx.ExitError{Command: "docker", Code: 1, Stderr: "Error: No such object: x"}
	e.Docker = docker.New(execx.NewFake(
		execx.Rule{Prefix: "docker ps"},
		execx.Rule{Prefix: "docker inspect", Err: gone},
		execx.Rule{Prefix: "docker network inspect", Err: &execx.ExitError{Command: "docker", Code: 1, Stderr: "Error: No such network: x"}},
	))
	e.Cluster = cluster.New(e.Docker, nobody{}, e.Log)
	return e
}

// TestRemoveCluster: the result names the labs that go with the cluster, and
// once each those that went before.
func TestRemoveCluster(t *testing.T) {
	t.Parallel()
	e := withoutCluster(t)
	r, _ := testRunner()
	res := &DownResult{Labs: []string{"elsewhere"}, Removed: []string{"lab elsewhere"}}
	if err := e.removeCluster(t.Context(), r, []string{"a", "b"}, res); err != nil {
		t.Fatal(err)
	}
	want := &DownResult{
		Labs:    []string{"elsewhere", "a", "b"},
		Removed: []string{"lab elsewhere", "lab a", "lab b", "kind cluster labctl"},
	}
	if diff := cmp.Diff(want, res); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

// TestLabsUnknown: a cluster that can't be asked goes without naming its labs.
func TestLabsUnknown(t *testing.T) {
	t.Parallel()
	e := withoutCluster(t)
	for _, phase := range []cluster.Phase{cluster.Stopped, cluster.Partial} {
		if labs := e.lastLabs(t.Context(), cluster.State{Phase: phase}); labs != nil {
			t.Errorf("labs of a cluster that is %s: %v", phase, labs)
		}
	}
}

func TestLabsOn(t *testing.T) {
	t.Parallel()
	namespace := func(name, lab string) corev1.Namespace {
		return corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{labelLab: lab}}}
	}
	status := http.StatusOK
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces" || r.URL.Query().Get("labelSelector") != labelLab {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		list := corev1.NamespaceList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NamespaceList"},
			Items:    []corev1.Namespace{namespace("a-class", "serving"), namespace("lab-model-registry", "model-registry")},
		}
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(api.Close)
	client, err := kube.New([]byte(`apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "`+api.URL+`"}}]
contexts: [{name: c, context: {cluster: c, user: ""}}]
`), "")
	if err != nil {
		t.Fatal(err)
	}
	labs, err := labsOn(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"model-registry", "serving"}, labs); diff != "" {
		t.Errorf("labs (-want +got):\n%s", diff)
	}
	status = http.StatusForbidden
	if _, err := labsOn(t.Context(), client); err == nil {
		t.Error("no error from a cluster that does not tell")
	}
}

// TestDownAllNamesTheUnreachable: a remembered lab whose cluster is gone stays
// and is named, unless everything is purged.
func TestDownAllNamesTheUnreachable(t *testing.T) {
	t.Parallel()
	for name, purge := range map[string]bool{"keep": false, "purge": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := withoutCluster(t)
			for _, lab := range []string{"b", "a"} {
				if err := e.State.SetTarget(lab, state.Target{Kubeconfig: "/nowhere/" + lab, Context: "c"}); err != nil {
					t.Fatal(err)
				}
			}
			r, _ := testRunner()
			res := &DownResult{Labs: []string{}, Removed: []string{}}
			err := e.downRemembered(t.Context(), r, DownOptions{All: true, Purge: purge}, res)
			want := &DownResult{Labs: []string{}, Removed: []string{}}
			if purge {
				want.Kept = []string{
					"lab a on context c of /nowhere/a, which did not answer",
					"lab b on context c of /nowhere/b, which did not answer",
				}
			}
			if diff := cmp.Diff(want, res); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if purge == (err != nil) || err != nil && clierr.Describe(err).Hint == "" {
				t.Errorf("error %v", err)
			}
		})
	}
}
