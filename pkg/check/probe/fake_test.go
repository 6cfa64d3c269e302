package probe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"labctl.dev/labctl/pkg/kube"
)

// api is an API server as far as probes need one.
type api struct {
	t *testing.T

	mu       sync.Mutex
	lists    map[string][]any // by resource
	requests map[string]int   // by resource
	status   int              // of everything but the proxy; 0: as it should be
	notReady bool
	// proxy answers for Services: "predictor:8080" -> handler.
	proxy map[string]http.HandlerFunc
}

func newAPI(t *testing.T) (*api, *Prober) {
	t.Helper()
	a := &api{t: t, lists: make(map[string][]any), requests: make(map[string]int), proxy: make(map[string]http.HandlerFunc)}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	config := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": %q}}], "users": [{"name": "u", "user": {"token": "t"}}],
		"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}`, server.URL)
	client, err := kube.New([]byte(config), "")
	if err != nil {
		t.Fatal(err)
	}
	return a, New(Config{Client: client, Namespace: "lab-x", Files: fstest.MapFS{"checks/row.json": {Data: []byte(`{"row": 1}`)}}})
}

func (a *api) add(resource string, objects ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists[resource] = append(a.lists[resource], objects...)
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// refuse answers as the API server does.
func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	reply(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message,
	})
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := r.URL.Path
	if _, rest, ok := strings.Cut(path, "/namespaces/lab-x/services/"); ok && strings.Contains(rest, "/proxy") {
		service, rest, _ := strings.Cut(rest, "/proxy")
		h := a.proxy[service]
		a.mu.Unlock()
		defer a.mu.Lock()
		if h == nil {
			refuse(w, 404, metav1.StatusReasonNotFound, fmt.Sprintf("services %q not found", strings.Split(service, ":")[0]))
			return
		}
		r.URL.Path = rest
		h(w, r)
		return
	}
	if a.status != 0 && path != "/readyz" {
		refuse(w, a.status, map[int]metav1.StatusReason{401: metav1.StatusReasonUnauthorized, 403: metav1.StatusReasonForbidden}[a.status], "forbidden")
		return
	}
	switch path {
	case "/readyz":
		if a.notReady {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte("ok"))
		return
	case "/api":
		reply(w, 200, metav1.APIVersions{Versions: []string{"v1"}})
		return
	case "/apis":
		reply(w, 200, metav1.APIGroupList{Groups: []metav1.APIGroup{{
			Name: "apps", Versions: []metav1.GroupVersionForDiscovery{{GroupVersion: "apps/v1", Version: "v1"}},
			PreferredVersion: metav1.GroupVersionForDiscovery{GroupVersion: "apps/v1", Version: "v1"},
		}}})
		return
	case "/api/v1":
		reply(w, 200, metav1.APIResourceList{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "pods", Kind: "Pod", Namespaced: true, Verbs: metav1.Verbs{"get", "list"}},
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: metav1.Verbs{"get", "list"}},
			{Name: "nodes", Kind: "Node", Verbs: metav1.Verbs{"get", "list"}},
		}})
		return
	case "/apis/apps/v1":
		reply(w, 200, metav1.APIResourceList{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
			{Name: "deployments", Kind: "Deployment", Namespaced: true, Verbs: metav1.Verbs{"get", "list"}},
		}})
		return
	}
	_, rest, ok := strings.Cut(path, "/namespaces/lab-x/")
	if !ok {
		refuse(w, 404, metav1.StatusReasonNotFound, "no "+path)
		return
	}
	resource, name, single := strings.Cut(rest, "/")
	a.requests[resource]++
	if single {
		for _, o := range a.lists[resource] {
			if m := o.(metav1.Object); m.GetName() == name {
				reply(w, 200, o)
				return
			}
		}
		refuse(w, 404, metav1.StatusReasonNotFound, resource+" not found")
		return
	}
	items := a.lists[resource]
	if items == nil {
		items = []any{}
	}
	kind := map[string]string{"deployments": "DeploymentList", "pods": "PodList", "configmaps": "ConfigMapList"}[resource]
	version := "v1"
	if strings.HasPrefix(path, "/apis/") {
		version = strings.Join(strings.Split(path, "/")[2:4], "/")
	}
	reply(w, 200, map[string]any{"kind": kind, "apiVersion": version, "metadata": map[string]any{}, "items": items})
}

// predictor is a Deployment with its ReplicaSet, its pod and its Service.
func predictor(a *api, ready bool, change func(*appsv1.Deployment, *corev1.Pod)) {
	yes, one := true, int32(1)
	own := func(kind, name string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{Kind: kind, Name: name, UID: types.UID("uid-" + strings.ToLower(kind)), Controller: &yes}}
	}
	labels := map[string]string{"app": "predictor"}
	revision := map[string]string{"deployment.kubernetes.io/revision": "1"}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}}
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "predictor", UID: "uid-deployment", Generation: 2, Annotations: revision, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "helm"}}},
		Spec:       appsv1.DeploymentSpec{Replicas: &one, Template: template, Selector: &metav1.LabelSelector{MatchLabels: labels}},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1},
	}
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "predictor-x", UID: "uid-pod", Labels: labels, OwnerReferences: own("ReplicaSet", "predictor-1")},
		Spec:       corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "server", Image: "model-server:1", ReadinessProbe: &corev1.Probe{}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "server", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, Ready: ready},
		}},
	}
	if ready {
		d.Status.ReadyReplicas, d.Status.AvailableReplicas = 1, 1
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour))}}
	}
	if change != nil {
		change(d, p)
	}
	a.add("deployments", d)
	a.add("replicasets", &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "predictor-1", UID: "uid-replicaset", Annotations: revision, OwnerReferences: own("Deployment", "predictor")}})
	a.add("pods", p)
	a.add("services", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "predictor"}, Spec: corev1.ServiceSpec{Selector: labels}})
}

// component is a Service with a ready pod behind it.
func component(a *api, name string, changed time.Time) {
	labels := map[string]string{"app": name}
	a.add("services", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Selector: labels}})
	a.add("pods", &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-0", UID: types.UID("uid-" + name), Labels: labels},
		Spec:       corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(changed)},
		}},
	})
}
