package restore

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/pkg/kube"
)

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
		seen, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
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
