// Package restore brings the objects of a namespace back to the manifests of a
// release, in place: what was added goes, what was removed comes back, what was
// changed is replaced as a whole, so that fields which were added go too.
//
// It knows manifests and a namespace, nothing about labs, charts or Helm, and
// it does not wait for workloads to become ready: pkg/engine does both.
package restore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

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
// Objects, Seed, and when the seed has ended, Late. Rewind stands alone.
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
	c, err := r.pods(ctx)
	if err != nil {
		return nil, err
	}
	var restart []*Object
	for _, m := range then {
		if r.stale(m, c.podsOf(keyOf(m))) {
			restart = append(restart, m)
		}
	}
	return r.names(), r.restart(ctx, c, restart)
}

// Rewind brings back every object of the release but Jobs, and restarts nothing.
// It is for an upgrade that comes next: Helm merges the old manifest, the new
// one and what is there, and what somebody changed can make what comes of it invalid.
func (r *Restorer) Rewind(ctx context.Context) error {
	return r.put(ctx, slices.DeleteFunc(slices.Clone(r.manifests), func(m *Object) bool { return keyOf(m).GroupKind == kindJob }))
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
	c, err := r.pods(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(r.names(), func(n string) bool { return slices.Contains(before, n) })
	return names, r.restart(ctx, c, restart)
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
