package kube

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// apiServer answers as an API server with ConfigMaps, Secrets that may not be
// listed, and ClusterRoles. It keeps what it is asked.
func apiServer(t *testing.T) (o *Objects, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var requests []string
	verbs := []string{"create", "delete", "get", "list", "patch", "update"}
	lists := map[string]metav1.APIResourceList{
		"/api/v1": {GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: verbs},
			{Name: "secrets", Kind: "Secret", Namespaced: true, Verbs: verbs},
			{Name: "bindings", Kind: "Binding", Namespaced: true, Verbs: []string{"create"}},
		}},
		"/apis/rbac.authorization.k8s.io/v1": {GroupVersion: "rbac.authorization.k8s.io/v1", APIResources: []metav1.APIResource{
			{Name: "clusterroles", Kind: "ClusterRole", Verbs: verbs},
		}},
	}
	const group = "rbac.authorization.k8s.io"
	version := metav1.GroupVersionForDiscovery{GroupVersion: group + "/v1", Version: "v1"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		reply := func(code int, v any) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(v)
		}
		status := func(code int32, reason metav1.StatusReason) {
			reply(int(code), metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: code, Reason: reason})
		}
		list, found := lists[r.URL.Path]
		switch {
		case r.URL.Path == "/api":
			reply(200, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
		case r.URL.Path == "/apis":
			reply(200, metav1.APIGroupList{Groups: []metav1.APIGroup{{Name: group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}}})
		case found:
			reply(200, list)
		default:
			mu.Lock()
			requests = append(requests, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
			mu.Unlock()
			switch {
			case strings.HasSuffix(r.URL.Path, "/secrets"):
				status(403, metav1.StatusReasonForbidden)
			case strings.HasSuffix(r.URL.Path, "/none"):
				status(404, metav1.StatusReasonNotFound)
			case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/configmaps"):
				owned := true
				reply(200, metav1.PartialObjectMetadataList{
					TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/v1"},
					Items: []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{
						Name: "a", UID: "u", OwnerReferences: []metav1.OwnerReference{{UID: "x"}, {UID: "o", Controller: &owned}},
					}}},
				})
			default:
				reply(200, configMap("a").Object)
			}
		}
	}))
	t.Cleanup(server.Close)
	c, err := New(kubeconfig(server.URL), "")
	if err != nil {
		t.Fatal(err)
	}
	if o, err = c.Objects("ns"); err != nil {
		t.Fatal(err)
	}
	return o, func() []string {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(requests)
		return requests
	}
}

func configMap(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}}}
}

func TestObjectsList(t *testing.T) {
	t.Parallel()
	o, _ := apiServer(t)
	items, err := o.List(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Item{{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Name: "a", UID: "u", Owner: "o"}}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Errorf("what may be listed (-want +got):\n%s", diff)
	}
	items, err = o.List(t.Context(), func(k schema.GroupKind) bool { return k.Kind == "Secret" })
	if err != nil || len(items) > 0 {
		t.Errorf("%v, %v", items, err)
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	o, asked := apiServer(t)
	gvk := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	if got, err := o.Get(t.Context(), gvk, "none"); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if err := o.Apply(t.Context(), configMap("a"), "solution"); err != nil {
		t.Error(err)
	}
	if _, err := o.Create(t.Context(), configMap("a")); err != nil {
		t.Error(err)
	}
	if _, err := o.Replace(t.Context(), configMap("a")); err != nil {
		t.Error(err)
	}
	seconds := int64(1)
	for _, name := range []string{"a", "none"} {
		if err := o.Delete(t.Context(), Item{GroupVersionKind: gvk, Name: name, UID: "u"}, &seconds); err != nil {
			t.Error(err)
		}
	}
	const at, body = "/api/v1/namespaces/ns/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`
	const del = `{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":1,"preconditions":{"uid":"u"},"propagationPolicy":"Background"}`
	want := []string{
		"DELETE " + at + "/a " + del, "DELETE " + at + "/none " + del, "GET " + at + "/none",
		"PATCH " + at + "/a?fieldManager=solution&force=true " + body, "POST " + at + "?fieldManager=labctl " + body, "PUT " + at + "/a?fieldManager=labctl " + body,
	}
	if diff := cmp.Diff(want, asked()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestObjectsRefuse(t *testing.T) {
	t.Parallel()
	o, _ := apiServer(t)
	role := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": map[string]any{"name": "a"}}}
	if err := o.Apply(t.Context(), role, "solution"); !errors.Is(err, ErrClusterScoped) {
		t.Error(err)
	}
	role.SetKind("Unknown")
	if err := o.Apply(t.Context(), role, "solution"); err == nil || !strings.Contains(err.Error(), "find kind Unknown") {
		t.Error(err)
	}
}
