package restore

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"labctl.dev/labctl/pkg/kube"
)

// stale tells whether the pods of a workload must go: they read something that
// was changed, their controller would wait for a broken one to become ready, or
// they were changed themselves.
func (r *Restorer) stale(m *Object, pods []kube.Item) bool {
	k := keyOf(m)
	switch {
	case r.all:
		return true
	case k.GroupKind == kindStatefulSet && r.rolled[k]:
		return true
	case r.rolled[k]:
		return false
	default:
		return slices.ContainsFunc(config(m), func(c Key) bool { return r.changed[c] }) ||
			slices.ContainsFunc(pods, func(p kube.Item) bool { return relabelled(m, p) })
	}
}

// relabelled tells whether somebody has changed the labels of a pod.
func relabelled(m *Object, pod kube.Item) bool {
	want, _, _ := unstructured.NestedStringMap(m.Object, "spec", "template", "metadata", "labels")
	for k, v := range want {
		if pod.Labels[k] != v {
			return true
		}
	}
	for k := range pod.Labels {
		_, known := want[k]
		switch k {
		case "pod-template-hash", "controller-revision-hash", "pod-template-generation", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index":
			known = true
		}
		if !known {
			return true
		}
	}
	return false
}

// restart deletes the pods of workloads; their controllers make new ones.
func (r *Restorer) restart(ctx context.Context, c census, workloads []*Object) error {
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
