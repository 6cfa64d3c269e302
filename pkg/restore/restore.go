// Package restore brings the objects of a namespace back to the manifests of a
// release, in place: what was added goes, what was removed comes back, what was
// changed is replaced as a whole, so that fields which were added go too.
//
// It knows manifests and a namespace, nothing about labs, charts or Helm, and
// it does not wait for workloads to become ready: pkg/engine does both.
package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/kube"
)

// Objects is the namespace that is restored; *kube.Objects is one.
type Objects interface {
	List(ctx context.Context, pick func(schema.GroupKind) bool) ([]kube.Item, error)
	Get(ctx context.Context, gvk schema.GroupVersionKind, name string) (*Object, error)
	Create(ctx context.Context, o *Object) (*Object, error)
	Replace(ctx context.Context, o *Object) (*Object, error)
	Delete(ctx context.Context, i kube.Item, seconds *int64) error
	Pods(ctx context.Context) ([]corev1.Pod, error)
}

var _ Objects = (*kube.Objects)(nil)

const (
	// poll is how often what goes is looked at.
	poll = 200 * time.Millisecond
	// goneTime bounds the wait for objects to go, observedTime that for a
	// controller to see a change.
	goneTime     = 90 * time.Second
	observedTime = 30 * time.Second
	// killSeconds are what a pod gets to end whose work is thrown away.
	killSeconds = int64(1)
	// parallel bounds how many objects are written at once.
	parallel = 8
	// tries bounds how often an object is replaced that somebody else changes.
	tries = 5
)

// Restorer restores one namespace. Its methods are called in this order: Clean,
// Objects, Seed, and when the seed has ended, Late.
type Restorer struct {
	objects   Objects
	manifests []*Object
	release   map[Key]bool
	// all restarts every workload: what an earlier, cut-off restoration has
	// changed is not known any more.
	all bool

	mu      sync.Mutex
	changed map[Key]bool // what Objects and Clean have changed
	rolled  map[Key]bool // workloads that make new pods by themselves
	old     map[types.UID]Key
}

// New makes a Restorer. resumed says that an earlier restoration was cut off.
func New(objects Objects, manifests []Object, resumed bool) *Restorer {
	r := &Restorer{
		objects: objects, release: make(map[Key]bool, len(manifests)), all: resumed,
		changed: make(map[Key]bool), rolled: make(map[Key]bool), old: make(map[types.UID]Key),
	}
	for i := range manifests {
		r.manifests = append(r.manifests, &manifests[i])
		r.release[keyOf(&manifests[i])] = true
	}
	return r
}

// Clean removes what is not of the release, and the Jobs of the release with
// their pods, and returns when all of it is gone. It gives the names of what
// somebody else had made.
func (r *Restorer) Clean(ctx context.Context, update func(string)) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, goneTime, errStays)
	defer cancel()
	names := make(map[string]bool)
	var left []kube.Item
	for {
		items, err := r.objects.List(ctx, nil)
		if err != nil {
			return nil, stays(ctx, err, left)
		}
		c := newCensus(items, r.release)
		objects, pods := c.foreign()
		for _, i := range slices.Concat(objects, pods) {
			// What others own goes with its owner; only that is worth a name.
			if i.Owner == "" {
				names[itemKey(i).String()] = true
				r.note(itemKey(i))
			}
		}
		for _, m := range r.manifests {
			if k := keyOf(m); k.GroupKind == kindJob {
				pods = append(pods, c.podsOf(k)...)
				for _, i := range items {
					if itemKey(i) == k {
						objects = append(objects, i)
					}
				}
			}
		}
		left = slices.Concat(objects, pods)
		if len(left) == 0 {
			return slices.Sorted(maps.Keys(names)), nil
		}
		update(fmt.Sprintf("%d objects to go", len(left)))
		if err := r.remove(ctx, objects, pods); err != nil {
			return nil, stays(ctx, err, left)
		}
		if err := pause(ctx); err != nil {
			return nil, stays(ctx, err, left)
		}
	}
}

// remove deletes owners before their pods, so that none makes new ones.
func (r *Restorer) remove(ctx context.Context, objects, pods []kube.Item) error {
	seconds := killSeconds
	for _, set := range []struct {
		items []kube.Item
		grace *int64
	}{{objects, nil}, {pods, &seconds}} {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(parallel)
		for _, i := range set.items {
			if i.Going {
				continue
			}
			g.Go(func() error {
				if err := r.objects.Delete(gctx, i, set.grace); err != nil {
					return fmt.Errorf("remove %s: %w", itemKey(i), err)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// Objects brings back every object of the release but Jobs and what restarts
// late. It gives the names of those that were missing or different, and begins
// the restart of pods that read something which was changed.
func (r *Restorer) Objects(ctx context.Context) ([]string, error) {
	var first, then []*Object
	for _, m := range r.manifests {
		switch k := keyOf(m).GroupKind; {
		case k == kindJob || isLate(m):
		case runsPods(k):
			then = append(then, m)
		default:
			first = append(first, m)
		}
	}
	// Pods read the others when they start.
	for _, set := range [][]*Object{first, then} {
		if err := r.put(ctx, set); err != nil {
			return nil, err
		}
	}
	names := r.names()
	var restart []*Object
	for _, m := range then {
		if r.stale(m) {
			restart = append(restart, m)
		}
	}
	return names, r.restart(ctx, restart)
}

// Seed runs the Jobs of the release again, those with the seed label to start
// afresh.
func (r *Restorer) Seed(ctx context.Context) error {
	for _, m := range r.manifests {
		if keyOf(m).GroupKind != kindJob {
			continue
		}
		if _, err := r.objects.Create(ctx, seedJob(m)); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s: %w", keyOf(m), err)
		}
	}
	return nil
}

// Late brings back the workloads that read at their start what the seed
// brings, and restarts those that do not get new pods by that. It gives the
// names of those that were missing or different.
func (r *Restorer) Late(ctx context.Context) ([]string, error) {
	before := r.names()
	var late, restart []*Object
	for _, m := range r.manifests {
		if isLate(m) && runsPods(keyOf(m).GroupKind) {
			late = append(late, m)
		}
	}
	if err := r.put(ctx, late); err != nil {
		return nil, err
	}
	for _, m := range late {
		if !r.rolled[keyOf(m)] {
			restart = append(restart, m)
		}
	}
	names := slices.DeleteFunc(r.names(), func(n string) bool { return slices.Contains(before, n) })
	return names, r.restart(ctx, restart)
}

// Early gives the manifests that are to be ready before Late.
func (r *Restorer) Early() []Object {
	var list []Object
	for _, m := range r.manifests {
		if !isLate(m) {
			list = append(list, *m)
		}
	}
	return list
}

// put writes objects, and returns when the controllers of workloads have seen
// it: until then their status is that of before.
func (r *Restorer) put(ctx context.Context, manifests []*Object) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, m := range manifests {
		g.Go(func() error {
			now, err := r.one(ctx, m)
			if err == nil && runsPods(keyOf(m).GroupKind) {
				err = r.observed(ctx, now)
			}
			if err != nil {
				return fmt.Errorf("restore %s: %w", keyOf(m), err)
			}
			return nil
		})
	}
	return g.Wait()
}

// one brings one object back and gives its new state.
func (r *Restorer) one(ctx context.Context, m *Object) (*Object, error) {
	for try := 1; ; try++ {
		live, err := r.objects.Get(ctx, m.GroupVersionKind(), m.GetName())
		if err != nil {
			return nil, err
		}
		if live != nil && live.GetDeletionTimestamp() != nil {
			if err := r.gone(ctx, m, live); err != nil {
				return nil, err
			}
			live = nil
		}
		if live == nil {
			now, err := r.objects.Create(ctx, m.DeepCopy())
			if err == nil {
				r.note(keyOf(m))
				r.roll(keyOf(m))
			} else if apierrors.IsAlreadyExists(err) && try < tries {
				continue
			}
			return now, err
		}
		now, err := r.objects.Replace(ctx, replacement(m, live))
		switch {
		case err == nil:
			// The server writes nothing when nothing differs.
			if now.GetResourceVersion() != live.GetResourceVersion() {
				r.note(keyOf(m))
			}
			if runsPods(keyOf(m).GroupKind) && !sameTemplate(live, now) {
				r.roll(keyOf(m))
			}
			return now, nil
		case (apierrors.IsConflict(err) || apierrors.IsNotFound(err)) && try < tries:
		case apierrors.IsInvalid(err) && try < tries:
			// Something was changed that can't be changed back.
			if err := r.objects.Delete(ctx, itemOf(live), nil); err != nil {
				return nil, err
			}
			if err := r.gone(ctx, m, live); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// gone returns when an object that is deleted does not exist any more. A claim
// waits for the pods that use it, so those go.
func (r *Restorer) gone(ctx context.Context, m, live *Object) error {
	ctx, cancel := context.WithTimeoutCause(ctx, goneTime, errStays)
	defer cancel()
	left := []kube.Item{itemOf(live)}
	for {
		now, err := r.objects.Get(ctx, m.GroupVersionKind(), m.GetName())
		if err != nil {
			return stays(ctx, err, left)
		}
		if now == nil || now.GetUID() != live.GetUID() {
			return nil
		}
		if keyOf(m).GroupKind == kindClaim {
			pods, err := r.objects.Pods(ctx)
			if err != nil {
				return stays(ctx, err, left)
			}
			for i := range pods {
				if mounts(&pods[i], m.GetName()) && pods[i].DeletionTimestamp == nil {
					if err := r.objects.Delete(ctx, podItem(&pods[i]), nil); err != nil {
						return stays(ctx, err, left)
					}
				}
			}
		}
		if err := pause(ctx); err != nil {
			return stays(ctx, err, left)
		}
	}
}

func mounts(p *corev1.Pod, claim string) bool {
	return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

func itemOf(o *Object) kube.Item {
	return kube.Item{GroupVersionKind: o.GroupVersionKind(), Name: o.GetName(), UID: o.GetUID(), Created: o.GetCreationTimestamp().Time}
}

func podItem(p *corev1.Pod) kube.Item {
	return kube.Item{GroupVersionKind: corev1.SchemeGroupVersion.WithKind("Pod"), Name: p.Name, UID: p.UID}
}

// observed returns when the workload's controller has seen its newest state.
func (r *Restorer) observed(ctx context.Context, o *Object) error {
	ctx, cancel := context.WithTimeoutCause(ctx, observedTime, errUnseen)
	defer cancel()
	for {
		seen, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration") //nolint:errcheck // zero when it is none
		if seen >= o.GetGeneration() {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
		now, err := r.objects.Get(ctx, o.GroupVersionKind(), o.GetName())
		if err != nil {
			return err
		}
		if now == nil {
			return nil // it went meanwhile; the wait for readiness tells
		}
		o = now
	}
}

// stale tells whether the pods of a workload must go: they read something that
// was changed, or their controller would wait for a broken one to become ready.
func (r *Restorer) stale(m *Object) bool {
	k := keyOf(m)
	switch {
	case r.all:
		return true
	case k.GroupKind == kindStatefulSet && r.rolled[k]:
		return true
	case r.rolled[k]:
		return false
	default:
		return slices.ContainsFunc(config(m), func(c Key) bool { return r.changed[c] })
	}
}

// restart deletes the pods of workloads; their controllers make new ones.
func (r *Restorer) restart(ctx context.Context, workloads []*Object) error {
	if len(workloads) == 0 {
		return nil
	}
	c, err := r.pods(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, m := range workloads {
		if n, set, err := unstructured.NestedInt64(m.Object, "spec", "replicas"); set && err == nil && n == 0 {
			continue // whatever runs there goes by itself
		}
		var grace *int64
		if keyOf(m).GroupKind == kindDeployment {
			// Nobody waits for its answers. What has data of its own ends in order.
			seconds := killSeconds
			grace = &seconds
		}
		for _, i := range c.podsOf(keyOf(m)) {
			r.old[i.UID] = keyOf(m)
			g.Go(func() error {
				if err := r.objects.Delete(ctx, i, grace); err != nil {
					return fmt.Errorf("restart %s: %w", keyOf(m), err)
				}
				return nil
			})
		}
	}
	return g.Wait()
}

// pods takes a census of pods and what owns them.
func (r *Restorer) pods(ctx context.Context) (census, error) {
	replicaSet := schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}
	items, err := r.objects.List(ctx, func(k schema.GroupKind) bool { return k == kindPod || k == replicaSet || runsPods(k) })
	return newCensus(items, r.release), err
}

// Restarted returns when the pods that were restarted are gone, and each of
// their workloads has as many pods again that are ready. A workload can look
// ready for a moment after its pods went.
func (r *Restorer) Restarted(ctx context.Context) (bool, error) {
	if len(r.old) == 0 {
		return true, nil
	}
	c, err := r.pods(ctx)
	if err != nil {
		return false, err
	}
	pods, err := r.objects.Pods(ctx)
	if err != nil {
		return false, err
	}
	ready := make(map[types.UID]bool, len(pods))
	for i := range pods {
		if r.old[pods[i].UID] != (Key{}) {
			return false, nil
		}
		ready[pods[i].UID] = kube.PodReady(&pods[i])
	}
	want := make(map[Key]int)
	for _, k := range r.old {
		want[k]++
	}
	for k := range want {
		mine := c.podsOf(k)
		if len(mine) == 0 || slices.ContainsFunc(mine, func(i kube.Item) bool { return !ready[i.UID] }) {
			return false, nil
		}
	}
	return true, nil
}

func (r *Restorer) note(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed[k] = true
}

func (r *Restorer) roll(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rolled[k] = true
}

// names gives the objects of the release that were changed.
func (r *Restorer) names() []string {
	names := []string{}
	for k := range r.changed {
		if r.release[k] {
			names = append(names, k.String())
		}
	}
	slices.Sort(names)
	return names
}

// pause waits for the next look.
func pause(ctx context.Context) error {
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

var (
	errStays  = fmt.Errorf("still there after %s", goneTime)
	errUnseen = fmt.Errorf("its controller has not seen the change after %s", observedTime)
)

// stays turns the end of a wait for objects to go into an error that names them.
func stays(ctx context.Context, err error, left []kube.Item) error {
	if !errors.Is(context.Cause(ctx), errStays) {
		return err
	}
	names := make([]string, 0, len(left))
	for _, i := range left {
		names = append(names, itemKey(i).String())
	}
	slices.Sort(names)
	return &clierr.Error{
		Err: errStays, Detail: strings.Join(names, "\n"), ID: "object-stuck",
		Hint: "A finalizer may hold them, and the controller that set it must run: kubectl get <object> -o yaml shows it. Then run the command again.",
	}
}
