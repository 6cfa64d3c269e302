package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// ErrNoPod is returned when nothing matches; it says so with the selector.
var ErrNoPod = errors.New("no pod matches")

// ErrNotRunning is returned when the best pod that matches does not run yet.
var ErrNotRunning = errors.New("does not run yet")

// pods are the pods that match a selector, kept up to date by a watch.
type pods struct {
	lister   listers.PodNamespaceLister
	selector labels.Selector
	changed  chan struct{}
	lost     chan error // the watch fails; holds one
}

// watchPods begins to watch the pods of a selector until ctx ends.
func (c *Client) watchPods(ctx context.Context, namespace string, selector labels.Selector) (*pods, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(c.Clientset, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = selector.String() }))
	informer := factory.Core().V1().Pods()
	p := &pods{lister: informer.Lister().Pods(namespace), selector: selector, changed: make(chan struct{}, 1), lost: make(chan error, 1)}
	poke := func() {
		select {
		case p.changed <- struct{}{}:
		default:
		}
	}
	_ = informer.Informer().SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		c.log.Debug("watch of pods failed", "namespace", namespace, "error", err)
		select {
		case p.lost <- err:
		default:
		}
	})
	_, _ = informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { poke() }, UpdateFunc: func(any, any) { poke() }, DeleteFunc: func(any) { poke() },
	})
	factory.StartWithContext(ctx)
	synced := make(chan struct{})
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
			close(synced)
		}
	}()
	select {
	case <-synced:
		return p, nil
	case err := <-p.lost:
		return nil, fmt.Errorf("list pods in namespace %s: %w", namespace, err)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// all gives the pods that are not going, best first: ready ones before others,
// newest first.
func (p *pods) all() []*corev1.Pod {
	list, _ := p.lister.List(p.selector) // a cache's list does not fail
	return usable(list)
}

func usable(list []*corev1.Pod) []*corev1.Pod {
	list = slices.DeleteFunc(slices.Clone(list), func(p *corev1.Pod) bool {
		return p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	rank := func(p *corev1.Pod) int {
		switch {
		case podReady(p):
			return 0
		case p.Status.Phase == corev1.PodRunning:
			return 1
		default:
			return 2
		}
	}
	slices.SortFunc(list, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// pick gives the best running pod for a selector, or the pod of that name.
func (c *Client) pick(ctx context.Context, namespace, pod, selector string) (*corev1.Pod, error) {
	opts := metav1.ListOptions{LabelSelector: selector}
	what := "selector " + selector
	if pod != "" {
		opts = metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, pod).String()}
		what = "name " + pod
	}
	ctx, cancel := request(ctx)
	defer cancel()
	list, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("list pods in namespace %s: %w", namespace, err)
	}
	found := usable(pointers[corev1.Pod](list.Items))
	if len(found) == 0 {
		return nil, fmt.Errorf("%w in namespace %s: %s", ErrNoPod, namespace, what)
	}
	if found[0].Status.Phase != corev1.PodRunning {
		f := newJudge()
		f.begin(c.now())
		return nil, fmt.Errorf("pod %s %w: %s", found[0].Name, ErrNotRunning, f.pod(found[0], nil).message)
	}
	return found[0], nil
}
