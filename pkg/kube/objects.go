package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/restmapper"
)

// ErrClusterScoped says that a kind's objects belong to no namespace.
var ErrClusterScoped = errors.New("belongs to the whole cluster, not to a namespace")

// FieldManager owns the fields that labctl sets. Helm sets them in its name too.
const FieldManager = "labctl"

// Objects works on objects of any kind in one namespace. It is safe for
// concurrent use.
type Objects struct {
	client    *Client
	namespace string
	dynamic   dynamic.Interface
	metadata  metadata.Interface
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.ResettableRESTMapper
}

// Objects gives access to objects of any kind. It does not connect.
func (c *Client) Objects(namespace string) (*Objects, error) {
	dyn, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		return nil, fmt.Errorf("make Kubernetes client: %w", err)
	}
	md, err := metadata.NewForConfig(c.Config)
	if err != nil {
		return nil, fmt.Errorf("make Kubernetes client: %w", err)
	}
	cached := memory.NewMemCacheClient(c.Clientset.Discovery())
	return &Objects{
		client: c, namespace: namespace, dynamic: dyn, metadata: md, discovery: cached,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached),
	}, nil
}

// Item is what every object has: enough to tell whose it is.
type Item struct {
	schema.GroupVersionKind

	Name    string
	UID     types.UID
	Created time.Time
	Labels  map[string]string
	// Owner is the UID of the controller, or of the first owner without one.
	Owner types.UID
	// Going says that it is deleted already and waits for something.
	Going bool
}

// String gives "kind/name".
func (i Item) String() string { return i.Kind + "/" + i.Name }

// maxLists bounds how many kinds are listed at once.
const maxLists = 16

// List lists the objects of the namespace that can be listed and deleted, of
// the kinds that pick wants (nil: all). A kind that the user may not list is
// left out: it can't be changed with these rights either.
func (o *Objects) List(ctx context.Context, pick func(schema.GroupKind) bool) ([]Item, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	kinds, err := o.kinds(pick)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var items []Item
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxLists)
	for gvr, gvk := range kinds {
		g.Go(func() error {
			list, err := o.metadata.Resource(gvr).Namespace(o.namespace).List(ctx, metav1.ListOptions{})
			if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				o.client.log.Debug("kind is not listed", "resource", gvr.String(), "error", err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("list %s in namespace %s: %w", gvr.Resource, o.namespace, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range list.Items {
				items = append(items, itemOf(gvk, &list.Items[i].ObjectMeta))
			}
			return nil
		})
	}
	return items, g.Wait()
}

func itemOf(gvk schema.GroupVersionKind, m *metav1.ObjectMeta) Item {
	i := Item{
		GroupVersionKind: gvk, Name: m.Name, UID: m.UID, Created: m.CreationTimestamp.Time,
		Labels: m.Labels, Going: m.DeletionTimestamp != nil,
	}
	if c := metav1.GetControllerOfNoCopy(m); c != nil {
		i.Owner = c.UID
	} else if len(m.OwnerReferences) > 0 {
		i.Owner = m.OwnerReferences[0].UID
	}
	return i
}

// kinds asks what can be listed and deleted in a namespace.
func (o *Objects) kinds(pick func(schema.GroupKind) bool) (map[schema.GroupVersionResource]schema.GroupVersionKind, error) {
	// An extension that does not answer hides its own kinds only.
	lists, err := discovery.ServerPreferredNamespacedResources(o.discovery)
	if err != nil && len(lists) == 0 {
		return nil, fmt.Errorf("ask for the kinds of objects: %w", err)
	}
	kinds := make(map[schema.GroupVersionResource]schema.GroupVersionKind)
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range l.APIResources {
			gvk := gv.WithKind(r.Kind)
			if slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete") && (pick == nil || pick(gvk.GroupKind())) {
				kinds[gv.WithResource(r.Name)] = gvk
			}
		}
	}
	return kinds, nil
}

// resource finds the place of a kind's objects.
func (o *Objects) resource(gvk schema.GroupVersionKind) (dynamic.ResourceInterface, error) {
	m, err := o.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		o.mapper.Reset() // it may be new
		m, err = o.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("find kind %s: %w", gvk.Kind, err)
	}
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		return nil, fmt.Errorf("%s %w", gvk.Kind, ErrClusterScoped)
	}
	return o.dynamic.Resource(m.Resource).Namespace(o.namespace), nil
}

// Get reads the object of that kind and name; nil when there is none.
func (o *Objects) Get(ctx context.Context, gvk schema.GroupVersionKind, name string) (*unstructured.Unstructured, error) {
	r, err := o.resource(gvk)
	if err != nil {
		return nil, err
	}
	ctx, cancel := request(ctx)
	defer cancel()
	obj, err := r.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // no object is a state, not an error
	}
	return obj, err
}

// Create makes an object.
func (o *Objects) Create(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	r, err := o.resource(obj.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	ctx, cancel := request(ctx)
	defer cancel()
	return r.Create(ctx, obj, metav1.CreateOptions{FieldManager: FieldManager})
}

// Replace puts an object in the place of the one of its name.
func (o *Objects) Replace(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	r, err := o.resource(obj.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	ctx, cancel := request(ctx)
	defer cancel()
	return r.Update(ctx, obj, metav1.UpdateOptions{FieldManager: FieldManager})
}

// Apply applies an object server-side in the name of manager, which takes over
// fields that others have set.
func (o *Objects) Apply(ctx context.Context, obj *unstructured.Unstructured, manager string) error {
	r, err := o.resource(obj.GroupVersionKind())
	if err != nil {
		return err
	}
	ctx, cancel := request(ctx)
	defer cancel()
	_, err = r.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: manager, Force: true})
	return err
}

// Delete removes an object and, in the background, what it owns. seconds (nil:
// the object's own) are what a pod gets to end. One that is gone, or has a
// successor of its name, is no error.
func (o *Objects) Delete(ctx context.Context, i Item, seconds *int64) error {
	r, err := o.resource(i.GroupVersionKind)
	if err != nil {
		return err
	}
	ctx, cancel := request(ctx)
	defer cancel()
	background := metav1.DeletePropagationBackground
	opts := metav1.DeleteOptions{GracePeriodSeconds: seconds, PropagationPolicy: &background}
	if i.UID != "" {
		opts.Preconditions = &metav1.Preconditions{UID: &i.UID}
	}
	err = r.Delete(ctx, i.Name, opts)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// Pods lists the pods of the namespace.
func (o *Objects) Pods(ctx context.Context) ([]corev1.Pod, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	list, err := o.client.Clientset.CoreV1().Pods(o.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list pods in namespace %s: %w", o.namespace, err)
	}
	return list.Items, nil
}

// PodReady tells whether a pod can be used: it is ready and not on its way out.
func PodReady(p *corev1.Pod) bool { return p.DeletionTimestamp == nil && podReady(p) }
