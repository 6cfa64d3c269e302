package restore

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Object is a Kubernetes object.
type Object = unstructured.Unstructured

// Key names an object within a namespace.
type Key struct {
	schema.GroupKind

	Name string
}

// String gives "kind/name", as kubectl writes it.
func (k Key) String() string { return strings.ToLower(k.Kind) + "/" + k.Name }

func keyOf(o *Object) Key { return Key{o.GroupVersionKind().GroupKind(), o.GetName()} }

// The kinds that are treated in a way of their own.
//
//nolint:gochecknoglobals // constants that Go can't have
var (
	kindPod         = schema.GroupKind{Kind: "Pod"}
	kindSecret      = schema.GroupKind{Kind: "Secret"}
	kindConfigMap   = schema.GroupKind{Kind: "ConfigMap"}
	kindService     = schema.GroupKind{Kind: "Service"}
	kindClaim       = schema.GroupKind{Kind: "PersistentVolumeClaim"}
	kindAccount     = schema.GroupKind{Kind: "ServiceAccount"}
	kindJob         = schema.GroupKind{Group: "batch", Kind: "Job"}
	kindDeployment  = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	kindStatefulSet = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
	kindDaemonSet   = schema.GroupKind{Group: "apps", Kind: "DaemonSet"}
)

// runsPods tells whether objects of that kind keep pods running.
func runsPods(k schema.GroupKind) bool {
	return k == kindDeployment || k == kindStatefulSet || k == kindDaemonSet
}

// kept are the annotations of controllers, by the domain of their keys. What
// is not theirs goes.
//
//nolint:gochecknoglobals // a constant table
var kept = []string{"deployment.kubernetes.io/", "pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/"}

// replacement gives the object that takes the place of live: the manifest, with
// what the cluster itself has added and what can't be changed.
func replacement(manifest, live *Object) *Object {
	o := manifest.DeepCopy()
	o.SetResourceVersion(live.GetResourceVersion())
	o.SetUID(live.GetUID())
	o.SetFinalizers(live.GetFinalizers())
	o.SetOwnerReferences(live.GetOwnerReferences())
	annotations := maps.Clone(o.GetAnnotations())
	for k, v := range live.GetAnnotations() {
		if slices.ContainsFunc(kept, func(p string) bool { return strings.HasPrefix(k, p) }) {
			if annotations == nil {
				annotations = make(map[string]string)
			}
			annotations[k] = v
		}
	}
	o.SetAnnotations(annotations)
	switch keyOf(o).GroupKind {
	case kindService:
		keep(o, live, "spec", "clusterIP")
		keep(o, live, "spec", "clusterIPs")
		keep(o, live, "spec", "ipFamilies")
		keep(o, live, "spec", "ipFamilyPolicy")
	case kindClaim:
		// A claim that is bound can't be changed.
		delete(o.Object, "spec")
		keep(o, live, "spec")
	case kindAccount:
		keep(o, live, "secrets")
	}
	return o
}

// keep copies a field of live that o does not set.
func keep(o, live *Object, path ...string) {
	if _, set, err := unstructured.NestedFieldNoCopy(o.Object, path...); set || err != nil {
		return
	}
	if v, ok, err := unstructured.NestedFieldCopy(live.Object, path...); ok && err == nil {
		// It fails only on a manifest whose fields are no maps, which the server refuses.
		_ = unstructured.SetNestedField(o.Object, v, path...)
	}
}

// template gives the pod template of a workload; one that is no map counts as
// absent.
func template(o *Object) map[string]any {
	t, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	return t
}

// sameTemplate tells whether two states of a workload make the same pods.
func sameTemplate(a, b *Object) bool {
	return equality.Semantic.DeepEqual(template(a), template(b))
}

// SeedLabel marks the Jobs that bring a lab's data; ResetEnv tells them that
// what is there must be thrown away first.
const (
	SeedLabel = "labctl.dev/seed"
	ResetEnv  = "LABCTL_RESET"
)

// LateAnnotation marks Deployments that read at their start what the seed
// brings, and so restart after it.
const LateAnnotation = "labctl.dev/restart-on-reset"

func isLate(o *Object) bool { return o.GetAnnotations()[LateAnnotation] == "true" }

// seedJob gives the Job to run at a reset.
func seedJob(manifest *Object) *Object {
	o := manifest.DeepCopy()
	if o.GetLabels()[SeedLabel] != "true" {
		return o
	}
	for _, field := range []string{"initContainers", "containers"} {
		path := []string{"spec", "template", "spec", field}
		list, ok, err := unstructured.NestedSlice(o.Object, path...)
		if !ok || err != nil {
			continue
		}
		for _, c := range list {
			if c, ok := c.(map[string]any); ok {
				env, _ := c["env"].([]any)
				env = slices.DeleteFunc(env, func(e any) bool { m, ok := e.(map[string]any); return ok && m["name"] == ResetEnv })
				c["env"] = append(env, map[string]any{"name": ResetEnv, "value": "1"})
			}
		}
		_ = unstructured.SetNestedSlice(o.Object, list, path...) // it was read from there
	}
	return o
}

// config gives the Secrets and ConfigMaps that a workload's pods read.
func config(o *Object) []Key {
	var keys []Key
	add := func(kind schema.GroupKind, name any) {
		if s, ok := name.(string); ok && s != "" {
			keys = append(keys, Key{kind, s})
		}
	}
	// The names of the fields say it all, wherever in the template they are.
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for field, e := range v {
				m, ok := e.(map[string]any)
				switch {
				case !ok:
				case field == "secretKeyRef", field == "secretRef":
					add(kindSecret, m["name"])
				case field == "configMapKeyRef", field == "configMapRef", field == "configMap":
					add(kindConfigMap, m["name"])
				case field == "secret":
					add(kindSecret, m["secretName"]) // a volume
					add(kindSecret, m["name"])       // a part of a projected one
				}
				walk(e)
			}
		}
	}
	walk(template(o))
	return keys
}
