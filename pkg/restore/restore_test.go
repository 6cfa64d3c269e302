package restore

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/pkg/clierr"
)

// release is a small lab: a database, a server, a predictor that reads the
// model at its start, and a seed.
func release() []Object {
	late := workload("Deployment", "predictor", "server:1")
	late.SetAnnotations(map[string]string{LateAnnotation: "true"})
	seed := workload("Job", "seed", "seed:1")
	seed.SetLabels(map[string]string{SeedLabel: "true"})
	return []Object{
		*object("v1", "Secret", "postgres", map[string]any{"data": map[string]any{"k": "cGFzcw=="}}),
		*object("v1", "ConfigMap", "datasets", map[string]any{"data": map[string]any{"a": "1"}}),
		*object("v1", "Service", "mlflow", map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": int64(5000)}}}}),
		*workload("StatefulSet", "postgres", "postgres:1", "postgres"),
		*workload("Deployment", "mlflow", "mlflow:1", "postgres"),
		*workload("Deployment", "workbench", "workbench:1"),
		*late, *seed,
	}
}

// installed is a namespace with the release in it, on its first day.
func installed(changes ...func(map[string]*Object)) *namespace {
	objects := map[string]*Object{}
	for _, o := range release() {
		objects[keyOf(&o).String()] = born(o.DeepCopy(), 1)
	}
	for _, c := range changes {
		c(objects)
	}
	list := []*Object{born(object("v1", "ConfigMap", "kube-root-ca.crt", nil), 1), born(object("v1", "ServiceAccount", "default", nil), 1)}
	for _, o := range objects {
		list = append(list, o)
	}
	return newNamespace(list...)
}

// reset goes all the way.
func reset(t *testing.T, n *namespace, resumed bool) (removed, restored []string) {
	t.Helper()
	r := New(n, release(), resumed)
	removed, err := r.Clean(t.Context(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if restored, err = r.Objects(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	late, err := r.Late(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := r.Restarted(t.Context()); !ok || err != nil {
		t.Errorf("restarted: %v, %v", ok, err)
	}
	return removed, append(restored, late...)
}

func TestReset(t *testing.T) {
	t.Parallel()
	set := func(name, value string, path ...string) func(map[string]*Object) {
		return func(objects map[string]*Object) { set(objects[name], value, path...) }
	}
	tests := map[string]struct {
		changes  []func(map[string]*Object)
		resumed  bool
		removed  []string
		restored []string
		restarts []string // pods that are deleted by name
	}{
		"nothing was done": {restarts: []string{"kill pod/predictor-pod"}},
		"a field was added": {
			changes:  []func(map[string]*Object){set("service/mlflow", "Local", "spec", "externalTrafficPolicy")},
			restored: []string{"service/mlflow"}, restarts: []string{"kill pod/predictor-pod"},
		},
		"a label was added": {
			changes:  []func(map[string]*Object){set("deployment/mlflow", "me", "metadata", "labels", "owner")},
			restored: []string{"deployment/mlflow"}, restarts: []string{"kill pod/predictor-pod"},
		},
		"a Deployment rolls by itself": {
			changes:  []func(map[string]*Object){set("deployment/mlflow", "Always", "spec", "template", "spec", "restartPolicy")},
			restored: []string{"deployment/mlflow"}, restarts: []string{"kill pod/predictor-pod"},
		},
		"a StatefulSet may wait for a broken pod": {
			changes:  []func(map[string]*Object){set("statefulset/postgres", "x", "spec", "template", "spec", "nodeName")},
			restored: []string{"statefulset/postgres"}, restarts: []string{"delete pod/postgres-pod", "kill pod/predictor-pod"},
		},
		"who reads a changed Secret restarts": {
			changes:  []func(map[string]*Object){set("secret/postgres", "b3RoZXI=", "data", "k")},
			restored: []string{"secret/postgres"}, restarts: []string{"delete pod/postgres-pod", "kill pod/mlflow-pod", "kill pod/predictor-pod"},
		},
		"a pod has another label": {
			changes: []func(map[string]*Object){func(o map[string]*Object) {
				pod := object("v1", "Pod", "mlflow-pod", nil)
				yes := true
				o["deployment/mlflow"].SetUID("mlflow")
				pod.SetOwnerReferences([]metav1.OwnerReference{{UID: "mlflow", Controller: &yes}})
				pod.SetLabels(map[string]string{"pod-template-hash": "1", "debug": "me"})
				o["1"] = born(pod, 1)
			}},
			restarts: []string{"kill pod/mlflow-pod", "kill pod/predictor-pod"},
		},
		"things are missing": {
			changes: []func(map[string]*Object){func(o map[string]*Object) {
				delete(o, "secret/postgres")
				delete(o, "deployment/workbench")
				delete(o, "job/seed")
			}},
			restored: []string{"deployment/workbench", "secret/postgres"},
			restarts: []string{"delete pod/postgres-pod", "kill pod/mlflow-pod", "kill pod/predictor-pod"},
		},
		"the predictor was changed": {
			changes:  []func(map[string]*Object){set("deployment/predictor", "x", "spec", "template", "spec", "nodeName")},
			restored: []string{"deployment/predictor"}, restarts: []string{},
		},
		"things were added": {
			changes: []func(map[string]*Object){func(o map[string]*Object) {
				o["1"] = born(workload("Deployment", "canary", "x"), 2)
				o["2"] = born(object("v1", "ConfigMap", "mine", nil), 2)
				o["3"] = born(workload("Job", "promote", "x"), 2)
				o["4"] = born(object("coordination.k8s.io/v1", "Lease", "labctl-active-check", nil), 2)
			}},
			removed: []string{"configmap/mine", "deployment/canary", "job/promote"}, restarts: []string{"kill pod/predictor-pod"},
		},
		"an earlier reset was cut off": {
			resumed:  true,
			restarts: []string{"delete pod/postgres-pod", "kill pod/mlflow-pod", "kill pod/predictor-pod", "kill pod/workbench-pod"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := installed(tt.changes...)
				removed, restored := reset(t, n, tt.resumed)
				if diff := cmp.Diff(append([]string{}, tt.removed...), append([]string{}, removed...)); diff != "" {
					t.Errorf("removed (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(append([]string{}, tt.restored...), append([]string{}, restored...)); diff != "" {
					t.Errorf("restored (-want +got):\n%s", diff)
				}
				var restarts []string
				for _, d := range n.log("delete", "kill") {
					if strings.Contains(d, " pod/") && !strings.Contains(d, "/seed") && !strings.Contains(d, "/canary") && !strings.Contains(d, "/promote") {
						restarts = append(restarts, d)
					}
				}
				if diff := cmp.Diff(append([]string{}, tt.restarts...), append([]string{}, restarts...)); diff != "" {
					t.Errorf("restarts (-want +got):\n%s", diff)
				}
				fresh := installed()
				left := n.names()
				if name == "things were added" {
					left = without(left, "lease/labctl-active-check")
				}
				if diff := cmp.Diff(fresh.names(), left); diff != "" {
					t.Errorf("what is there (-want +got):\n%s", diff)
				}
				if env := n.objects[Key{kindJob, "seed"}]; !strings.Contains(dump(env), ResetEnv) {
					t.Errorf("the seed is not told to start afresh: %s", dump(env))
				}
				again := New(n, release(), false)
				if restored, err := again.Objects(t.Context()); err != nil || len(restored) > 0 {
					t.Errorf("a second time restores %q, %v", restored, err)
				}
			})
		})
	}
}

// TestRewind: before an upgrade nothing is as somebody changed it, late
// workloads too; what was added and the Jobs stay, and nothing is restarted.
func TestRewind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := installed(func(o map[string]*Object) {
			set(o["deployment/predictor"], "x", "spec", "template", "spec", "nodeName")
			set(o["job/seed"], "x", "spec", "template", "spec", "nodeName")
			delete(o, "service/mlflow")
			o["1"] = born(object("v1", "ConfigMap", "mine", nil), 2)
		})
		if err := New(n, release(), false).Rewind(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"create service/mlflow", "replace deployment/predictor"}
		if diff := cmp.Diff(want, n.log("create", "replace", "delete", "kill")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestKills: pods of what is thrown away get a second, and go after their
// owners, which would make new ones.
func TestKills(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := installed(func(o map[string]*Object) {
			o["1"] = born(workload("Deployment", "canary", "x"), 2)
			o["2"] = born(object("v1", "Pod", "debug", nil), 2)
		})
		if _, err := New(n, release(), false).Clean(t.Context(), func(string) {}); err != nil {
			t.Fatal(err)
		}
		want := []string{"delete deployment/canary", "delete job/seed", "kill pod/canary-pod", "kill pod/debug", "kill pod/seed-pod"}
		if diff := cmp.Diff(want, n.log("delete", "kill")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if !strings.HasPrefix(n.did[0], "delete ") || !strings.HasPrefix(n.did[1], "delete ") {
			t.Errorf("order %q", n.did)
		}
	})
}

func TestStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := installed(func(o map[string]*Object) {
			o["1"] = born(object("v1", "ConfigMap", "mine", nil), 2)
			o["1"].SetFinalizers([]string{"example.com/hold"})
		})
		_, err := New(n, release(), false).Clean(t.Context(), func(string) {})
		d := clierr.Describe(err)
		if d.ID != "object-stuck" || d.Detail != "configmap/mine" || d.Hint == "" {
			t.Errorf("%+v", d)
		}
	})
}

// TestOne is what can meet the restoration of one object.
func TestOne(t *testing.T) {
	t.Parallel()
	claim := object("v1", "PersistentVolumeClaim", "data", map[string]any{"spec": map[string]any{"size": "1"}})
	config := object("v1", "ConfigMap", "c", map[string]any{"data": map[string]any{"a": "1"}})
	changed := object("v1", "ConfigMap", "c", map[string]any{"data": map[string]any{"a": "2"}})
	going := claim.DeepCopy()
	now := metav1.Now()
	going.SetDeletionTimestamp(&now)
	going.SetFinalizers([]string{"kubernetes.io/pvc-protection"})
	user := object("v1", "Pod", "user", map[string]any{"spec": map[string]any{"volumes": []any{
		map[string]any{"name": "v", "persistentVolumeClaim": map[string]any{"claimName": "data"}},
	}}})
	broken := errors.New("broken")
	tests := map[string]struct {
		there    []*Object
		manifest *Object
		set      func(*namespace)
		did      []string
		err      error
	}{
		"not there":     {manifest: config, did: []string{"create configmap/c"}},
		"the same":      {there: []*Object{config}, manifest: config, did: []string{}},
		"different":     {there: []*Object{changed}, manifest: config, did: []string{"replace configmap/c"}},
		"changed again": {there: []*Object{changed}, manifest: config, set: func(n *namespace) { n.conflicts = 2 }, did: []string{"replace configmap/c"}},
		"immutable": {
			there: []*Object{changed}, manifest: config, set: func(n *namespace) { n.immutable[keyOf(config)] = true },
			did: []string{"create configmap/c", "delete configmap/c"},
		},
		"a claim in deletion": {
			there: []*Object{going, user}, manifest: claim, did: []string{"create persistentvolumeclaim/data", "delete pod/user"},
		},
		"refused": {manifest: config, set: func(n *namespace) { n.fail["create configmap/c"] = broken }, did: []string{"create configmap/c"}, err: broken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNamespace(tt.there...)
				if tt.set != nil {
					tt.set(n)
				}
				_, err := New(n, []Object{*tt.manifest}, false).one(t.Context(), tt.manifest)
				if !errors.Is(err, tt.err) {
					t.Error(err)
				}
				if diff := cmp.Diff(tt.did, n.log("create", "replace", "delete")); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}
