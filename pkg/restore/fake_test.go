package restore

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"labctl.dev/labctl/pkg/kube"
)

// namespace is a namespace in memory. It behaves as the API server does where
// that matters: nothing is written when nothing differs, owners take what they
// own along, some fields can't be changed. Controllers make pods at once.
type namespace struct {
	mu      sync.Mutex
	objects map[Key]*Object
	count   int
	looks   int // at what goes
	did     []string
	// immutable refuses a change of these objects.
	immutable map[Key]bool
	// conflicts is how many replacements fail for that.
	conflicts int
	fail      map[string]error // by what is done
}

// day gives a time on the n-th day.
func day(n int) metav1.Time { return metav1.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func newNamespace(objects ...*Object) *namespace {
	n := &namespace{objects: map[Key]*Object{}, immutable: map[Key]bool{}, fail: map[string]error{}}
	for _, o := range objects {
		n.store(o.DeepCopy())
	}
	n.did = nil
	return n
}

func (n *namespace) note(what string, k Key) error {
	n.did = append(n.did, what+" "+k.String())
	return n.fail[what+" "+k.String()]
}

// store gives an object what the server gives every object.
func (n *namespace) store(o *Object) *Object {
	n.count++
	if o.GetUID() == "" {
		o.SetUID(types.UID("uid-" + strconv.Itoa(n.count)))
	}
	if o.GetCreationTimestamp() == (metav1.Time{}) {
		o.SetCreationTimestamp(day(28))
	}
	o.SetResourceVersion(strconv.Itoa(n.count))
	n.objects[keyOf(o)] = o
	n.control(o)
	return o
}

// control does what controllers do: they see the object, and keep one pod.
func (n *namespace) control(o *Object) {
	k := keyOf(o)
	if !runsPods(k.GroupKind) && k.GroupKind != kindJob {
		return
	}
	_ = unstructured.SetNestedField(o.Object, o.GetGeneration(), "status", "observedGeneration")
	pod := Key{kindPod, o.GetName() + "-pod"}
	if n.objects[pod] != nil {
		return
	}
	p := object("v1", "Pod", pod.Name, nil)
	controller := true
	p.SetOwnerReferences([]metav1.OwnerReference{{UID: o.GetUID(), Name: o.GetName(), Controller: &controller}})
	p.SetCreationTimestamp(o.GetCreationTimestamp())
	_ = unstructured.SetNestedSlice(p.Object, []any{map[string]any{"type": "Ready", "status": "True"}}, "status", "conditions")
	n.store(p)
}

func (n *namespace) List(_ context.Context, pick func(schema.GroupKind) bool) ([]kube.Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var items []kube.Item
	for _, o := range n.objects {
		if pick != nil && !pick(o.GroupVersionKind().GroupKind()) {
			continue
		}
		i := itemOf(o)
		i.Labels, i.Going = o.GetLabels(), o.GetDeletionTimestamp() != nil
		if owners := o.GetOwnerReferences(); len(owners) > 0 {
			i.Owner = owners[0].UID
		}
		items = append(items, i)
	}
	return items, n.fail["list"]
}

func (n *namespace) Get(_ context.Context, gvk schema.GroupVersionKind, name string) (*Object, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.objects[Key{gvk.GroupKind(), name}]
	if o == nil {
		return nil, nil
	}
	if o.GetDeletionTimestamp() != nil { // it goes while one looks for the third time
		if n.looks++; n.looks > 2 {
			defer n.drop(o)
		}
	}
	return o.DeepCopy(), nil
}

func (n *namespace) Create(_ context.Context, o *Object) (*Object, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := keyOf(o)
	if err := n.note("create", k); err != nil {
		return nil, err
	}
	if n.objects[k] != nil {
		return nil, apierrors.NewAlreadyExists(schema.GroupResource{}, o.GetName())
	}
	return n.store(o.DeepCopy()).DeepCopy(), nil
}

func (n *namespace) Replace(_ context.Context, o *Object) (*Object, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := keyOf(o)
	live := n.objects[k]
	switch {
	case n.conflicts > 0:
		n.conflicts--
		return nil, apierrors.NewConflict(schema.GroupResource{}, o.GetName(), errors.New("changed"))
	case live == nil:
		return nil, apierrors.NewNotFound(schema.GroupResource{}, o.GetName())
	case n.immutable[k]:
		delete(n.immutable, k)
		return nil, apierrors.NewInvalid(o.GroupVersionKind().GroupKind(), o.GetName(), nil)
	}
	next := o.DeepCopy()
	next.SetCreationTimestamp(live.GetCreationTimestamp())
	next.SetGeneration(live.GetGeneration())
	if status, ok := live.Object["status"]; ok {
		next.Object["status"] = status
	}
	if equality.Semantic.DeepEqual(live.Object, next.Object) {
		return live.DeepCopy(), nil
	}
	_ = n.note("replace", k)
	next.SetGeneration(live.GetGeneration() + 1)
	return n.store(next).DeepCopy(), nil
}

func (n *namespace) Delete(_ context.Context, i kube.Item, seconds *int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	what := "delete"
	if seconds != nil {
		what = "kill"
	}
	if err := n.note(what, itemKey(i)); err != nil {
		return err
	}
	o := n.objects[itemKey(i)]
	if o == nil || o.GetUID() != i.UID {
		return nil
	}
	if len(o.GetFinalizers()) > 0 {
		now := day(28)
		o.SetDeletionTimestamp(&now)
		return nil
	}
	n.drop(o)
	return nil
}

// drop removes an object and what it owns; the owner of a pod makes another.
func (n *namespace) drop(o *Object) {
	delete(n.objects, keyOf(o))
	for _, other := range n.objects {
		owners := other.GetOwnerReferences()
		if len(owners) > 0 && owners[0].UID == o.GetUID() {
			n.drop(other)
		}
		if owner := o.GetOwnerReferences(); len(owner) > 0 && owner[0].UID == other.GetUID() {
			n.control(other)
		}
	}
}

func (n *namespace) Pods(context.Context) ([]corev1.Pod, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var pods []corev1.Pod
	for k, o := range n.objects {
		if k.GroupKind != kindPod {
			continue
		}
		var p corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &p); err != nil {
			return nil, err
		}
		pods = append(pods, p)
	}
	return pods, nil
}

// names gives what is there, sorted.
func (n *namespace) names() []string {
	var names []string
	for k := range n.objects {
		names = append(names, k.String())
	}
	slices.Sort(names)
	return names
}

// log gives what was done of some kind, sorted: things are done side by side.
func (n *namespace) log(verbs ...string) []string {
	list := []string{}
	for _, d := range n.did {
		if slices.ContainsFunc(verbs, func(v string) bool { return strings.HasPrefix(d, v+" ") }) {
			list = append(list, d)
		}
	}
	slices.Sort(list)
	return list
}

// object makes an object; fields are its content beside metadata.
func object(apiVersion, kind, name string, fields map[string]any) *Object {
	o := &Object{Object: map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}}
	maps.Copy(o.Object, fields)
	return o
}

// workload makes an object that keeps pods; env names the Secrets it reads.
func workload(kind, name, image string, secrets ...string) *Object {
	env := []any{}
	for _, s := range secrets {
		env = append(env, map[string]any{"name": "X", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": s, "key": "k"}}})
	}
	container := map[string]any{"name": "c", "image": image, "env": env}
	group := "apps/v1"
	if kind == "Job" {
		group = "batch/v1"
	}
	return object(group, kind, name, map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{container}}}}})
}

func born(o *Object, n int) *Object {
	o.SetCreationTimestamp(day(n))
	return o
}
