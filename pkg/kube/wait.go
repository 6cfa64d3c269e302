package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"labctl.dev/labctl/pkg/clierr"
)

const (
	// settle gathers changes that come in bursts before looking at them.
	settle = 50 * time.Millisecond
	// pingEvery is how often a cluster whose watches fail is asked whether it
	// is still there, pingTries how often before it is given up.
	pingEvery = 3 * time.Second
	pingTries = 5
	// idleTime ends a wait in which nothing moves any more. It leaves time for
	// a large image over a slow line.
	idleTime = 15 * time.Minute
)

var errIdle = fmt.Errorf("nothing has changed for %s", idleTime)

// WaitReady waits until every workload among objects is ready. emit gets each
// workload whenever what there is to say about it changes. A workload that
// can't become ready ends the wait at once, with an error that carries its
// reason, its last log lines and its events. There is no bound as long as
// things move.
func (c *Client) WaitReady(ctx context.Context, namespace string, objects []unstructured.Unstructured, emit func(WorkloadStatus)) error {
	refs := workloads(objects)
	if len(refs) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := c.watch(ctx, namespace)
	defer w.factory.Shutdown()
	defer cancel() // before Shutdown, which waits for the watches to end
	j := newJudge()
	shown := make(map[string]WorkloadStatus)
	var rows []WorkloadStatus
	timer := time.NewTimer(idleTime)
	defer timer.Stop()
	moved := c.now()
	for {
		if w.synced() {
			j.begin(c.now())
			v := w.view()
			rows = j.assess(v, refs)
			j.end()
			ready := true
			for _, row := range rows {
				if shown[row.String()] != row {
					shown[row.String()] = row
					moved = c.now()
					emit(row)
				}
				ready = ready && row.Ready
			}
			for _, row := range rows {
				if row.Failed {
					return c.explain(ctx, namespace, row, v)
				}
			}
			if ready {
				return nil
			}
		}
		next := idleTime - c.now().Sub(moved)
		if next <= 0 {
			return unfinished(errIdle, rows)
		}
		if j.next > 0 {
			next = min(next, j.next)
		}
		timer.Reset(max(next, settle))
		select {
		case <-ctx.Done():
			return unfinished(context.Cause(ctx), rows)
		case err := <-w.lost:
			if err := c.stillThere(ctx, namespace, err); err != nil {
				return err
			}
		case <-timer.C:
		case <-w.changed:
			// A change seldom comes alone.
			timer.Reset(settle)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
	}
}

// unfinished is the error of a wait that ended too early.
func unfinished(cause error, rows []WorkloadStatus) error {
	if !errors.Is(cause, context.DeadlineExceeded) && !errors.Is(cause, errIdle) {
		return cause
	}
	detail, n := "", 0
	for _, row := range rows {
		if !row.Ready {
			n++
			detail += fmt.Sprintf("%s: %s\n", row, row.Message)
		}
	}
	err := fmt.Errorf("%d of %d workloads were not ready in time: %w", n, len(rows), cause)
	if len(rows) == 0 {
		err = fmt.Errorf("the API server told nothing of the workloads: %w", cause)
	}
	return &clierr.Error{
		Err: err, ID: idTimeout,
		Detail: detail, Hint: "Run the command again to wait on; nothing is lost.",
	}
}

// stillThere decides what a failing watch means: an API server that restarts is
// waited for, one that stays away ends the wait, as does a lack of rights.
func (c *Client) stillThere(ctx context.Context, namespace string, err error) error {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return clierr.Wrap(err, "watch namespace "+namespace, "Ask the cluster's administrator for the rights to read it.")
	}
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for range pingTries {
		if err = c.Ping(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return unreachable(err)
}

// watched is a namespace under watch.
type watched struct {
	namespace string
	factory   informers.SharedInformerFactory
	informers []cache.SharedIndexInformer
	changed   chan struct{} // something changed; holds one
	lost      chan error    // a watch fails; holds one
}

// watch starts to watch everything in a namespace that readiness depends on.
func (c *Client) watch(ctx context.Context, namespace string) *watched {
	w := &watched{
		namespace: namespace,
		factory:   informers.NewSharedInformerFactoryWithOptions(c.Clientset, 0, informers.WithNamespace(namespace)),
		changed:   make(chan struct{}, 1), lost: make(chan error, 1),
	}
	apps, core, batch := w.factory.Apps().V1(), w.factory.Core().V1(), w.factory.Batch().V1()
	w.informers = []cache.SharedIndexInformer{
		apps.Deployments().Informer(), apps.ReplicaSets().Informer(), apps.StatefulSets().Informer(), apps.DaemonSets().Informer(),
		batch.Jobs().Informer(), core.Pods().Informer(), core.PersistentVolumeClaims().Informer(), core.Events().Informer(),
	}
	poke := func() {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	for _, i := range w.informers {
		// Both fail only on an informer that has been started or stopped.
		_, _ = i.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { poke() }, UpdateFunc: func(any, any) { poke() }, DeleteFunc: func(any) { poke() },
		})
		_ = i.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
			// A watch that expired is renewed by client-go itself.
			if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
				return
			}
			c.log.Debug("watch failed", "namespace", namespace, "error", err)
			select {
			case w.lost <- err:
			default:
			}
		})
	}
	w.factory.StartWithContext(ctx)
	go func() {
		w.factory.WaitForCacheSyncWithContext(ctx)
		poke() // an empty namespace sends no change
	}()
	return w
}

func (w *watched) synced() bool {
	for _, i := range w.informers {
		if !i.HasSynced() {
			return false
		}
	}
	return true
}

// view gives the present content of the watches. Listing from a cache does not
// fail.
func (w *watched) view() view {
	apps, core, batch := w.factory.Apps().V1(), w.factory.Core().V1(), w.factory.Batch().V1()
	var v view
	all := labels.Everything()
	v.deployments, _ = apps.Deployments().Lister().Deployments(w.namespace).List(all)
	v.replicaSets, _ = apps.ReplicaSets().Lister().ReplicaSets(w.namespace).List(all)
	v.statefulSets, _ = apps.StatefulSets().Lister().StatefulSets(w.namespace).List(all)
	v.daemonSets, _ = apps.DaemonSets().Lister().DaemonSets(w.namespace).List(all)
	v.jobs, _ = batch.Jobs().Lister().Jobs(w.namespace).List(all)
	v.pods, _ = core.Pods().Lister().Pods(w.namespace).List(all)
	v.claims, _ = core.PersistentVolumeClaims().Lister().PersistentVolumeClaims(w.namespace).List(all)
	v.events, _ = core.Events().Lister().Events(w.namespace).List(all)
	return v
}

// Snapshot says where the workloads among objects stand now, in the order in
// which they are shown.
func (c *Client) Snapshot(ctx context.Context, namespace string, objects []unstructured.Unstructured) ([]WorkloadStatus, error) {
	refs := workloads(objects)
	if len(refs) == 0 {
		return nil, nil
	}
	ctx, cancel := request(ctx)
	defer cancel()
	v, err := c.read(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("look at the workloads in namespace %s: %w", namespace, err)
	}
	j := newJudge()
	j.final = true
	j.begin(c.now())
	return j.assess(v, refs), nil
}

// read gets a view with single requests.
func (c *Client) read(ctx context.Context, ns string) (view, error) {
	var v view
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	opts := metav1.ListOptions{ResourceVersion: "0"} // from the API server's cache
	get := func(f func() (func(), error)) {
		g.Go(func() error {
			set, err := f()
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			set()
			return nil
		})
	}
	apps, core := c.Clientset.AppsV1(), c.Clientset.CoreV1()
	get(func() (func(), error) {
		l, err := apps.Deployments(ns).List(ctx, opts)
		return func() { v.deployments = pointers[appsv1.Deployment](l.Items) }, err
	})
	get(func() (func(), error) {
		l, err := apps.ReplicaSets(ns).List(ctx, opts)
		return func() { v.replicaSets = pointers[appsv1.ReplicaSet](l.Items) }, err
	})
	get(func() (func(), error) {
		l, err := apps.StatefulSets(ns).List(ctx, opts)
		return func() { v.statefulSets = pointers[appsv1.StatefulSet](l.Items) }, err
	})
	get(func() (func(), error) {
		l, err := apps.DaemonSets(ns).List(ctx, opts)
		return func() { v.daemonSets = pointers[appsv1.DaemonSet](l.Items) }, err
	})
	get(func() (func(), error) {
		l, err := c.Clientset.BatchV1().Jobs(ns).List(ctx, opts)
		return func() { v.jobs = pointers[batchv1.Job](l.Items) }, err
	})
	get(func() (func(), error) {
		l, err := core.Pods(ns).List(ctx, opts)
		return func() { v.pods = pointers[corev1.Pod](l.Items) }, err
	})
	get(func() (func(), error) {
		l, err := core.PersistentVolumeClaims(ns).List(ctx, opts)
		return func() { v.claims = pointers[corev1.PersistentVolumeClaim](l.Items) }, err
	})
	get(func() (func(), error) {
		l, err := core.Events(ns).List(ctx, opts)
		return func() { v.events = pointers[corev1.Event](l.Items) }, err
	})
	err := g.Wait()
	return v, err
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
