package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Settling says whether something in the cluster still changes by itself. Both
// are empty for what has come to rest.
type Settling struct {
	Moving   string // what it is on the way to
	Hopeless string // why it won't get there
}

// Examiner looks at the workloads of a namespace again and again, and judges
// them with the patience that WaitReady has. It is safe for concurrent use.
type Examiner struct {
	client    *Client
	namespace string

	mu    sync.Mutex
	judge *judge
}

// Examine makes an Examiner.
func (c *Client) Examine(namespace string) *Examiner {
	return &Examiner{client: c, namespace: namespace, judge: newJudge()}
}

// Look is a namespace at one moment.
type Look struct {
	now      time.Time
	view     view
	services []*corev1.Service
	podsErr  error // why there are no pods, where the user may not list them
	rows     map[ref]WorkloadStatus
}

// Look reads the namespace. Kinds that the user may not list are left out.
func (e *Examiner) Look(ctx context.Context) (*Look, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	l := &Look{rows: make(map[ref]WorkloadStatus)}
	if err := e.read(ctx, l); err != nil {
		return nil, fmt.Errorf("look at namespace %s: %w", e.namespace, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	l.now = e.client.now()
	e.judge.begin(l.now)
	for _, row := range e.judge.assess(l.view, l.refs()) {
		l.rows[ref{row.Kind, row.Name}] = row
	}
	e.judge.end()
	return l, nil
}

func (l *Look) refs() []ref {
	var refs []ref
	add := func(kind string, o metav1.Object) { refs = append(refs, ref{kind, o.GetName()}) }
	for _, o := range l.view.deployments {
		add("Deployment", o)
	}
	for _, o := range l.view.statefulSets {
		add("StatefulSet", o)
	}
	for _, o := range l.view.jobs {
		add("Job", o)
	}
	for _, o := range l.view.claims {
		add("PersistentVolumeClaim", o)
	}
	for _, o := range l.view.pods {
		add("Pod", o)
	}
	return refs
}

// read fills in the view. Unlike a wait it asks for what is true now: a look
// often follows a change at once.
func (e *Examiner) read(ctx context.Context, l *Look) error {
	g, lists := errgroup.WithContext(ctx)
	apps, core, batch := e.client.Clientset.AppsV1(), e.client.Clientset.CoreV1(), e.client.Clientset.BatchV1()
	opts := metav1.ListOptions{}
	get := func(f func() error) {
		g.Go(func() error {
			if err := f(); err != nil && (!apierrors.IsForbidden(err) || StartingUp(err)) {
				return err
			}
			return nil
		})
	}
	get(func() error {
		list, err := apps.Deployments(e.namespace).List(lists, opts)
		l.view.deployments = items[appsv1.Deployment](err, func() []appsv1.Deployment { return list.Items })
		return err
	})
	get(func() error {
		list, err := apps.ReplicaSets(e.namespace).List(lists, opts)
		l.view.replicaSets = items[appsv1.ReplicaSet](err, func() []appsv1.ReplicaSet { return list.Items })
		return err
	})
	get(func() error {
		list, err := apps.StatefulSets(e.namespace).List(lists, opts)
		l.view.statefulSets = items[appsv1.StatefulSet](err, func() []appsv1.StatefulSet { return list.Items })
		return err
	})
	get(func() error {
		list, err := batch.Jobs(e.namespace).List(lists, opts)
		l.view.jobs = items[batchv1.Job](err, func() []batchv1.Job { return list.Items })
		return err
	})
	get(func() error {
		list, err := core.PersistentVolumeClaims(e.namespace).List(lists, opts)
		l.view.claims = items[corev1.PersistentVolumeClaim](err, func() []corev1.PersistentVolumeClaim { return list.Items })
		return err
	})
	get(func() error {
		list, err := core.Services(e.namespace).List(lists, opts)
		l.services = items[corev1.Service](err, func() []corev1.Service { return list.Items })
		return err
	})
	get(func() error {
		list, err := core.Pods(e.namespace).List(lists, opts)
		l.view.pods = items[corev1.Pod](err, func() []corev1.Pod { return list.Items })
		l.podsErr = err
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if slices.ContainsFunc(l.view.pods, func(p *corev1.Pod) bool { return !podReady(p) && !finished(p) }) || len(l.view.pods) == 0 {
		// Only they can tell what a pod, or its maker, waits for.
		list, err := core.Events(e.namespace).List(ctx, opts)
		if err != nil && !apierrors.IsForbidden(err) {
			return err
		}
		l.view.events = items[corev1.Event](err, func() []corev1.Event { return list.Items })
	}
	return nil
}

// StartingUp tells whether the API server refused somebody because it has only
// just started and does not know its roles yet.
func StartingUp(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "RBAC: [")
}

func items[T any](err error, list func() []T) []*T {
	if err != nil {
		return nil
	}
	return pointers[T](list())
}

// Object says where an object of the namespace stands. What it says itself
// counts, and for a workload its pods too.
func (l *Look) Object(o *unstructured.Unstructured) Settling {
	name := o.GetKind() + "/" + o.GetName()
	if o.GetDeletionTimestamp() != nil {
		return Settling{Moving: name + " is being deleted"}
	}
	if observed, ok, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration"); ok && observed < o.GetGeneration() {
		return Settling{Moving: name + " has changed and nothing has acted on it yet"}
	}
	if active, _, _ := unstructured.NestedSlice(o.Object, "status", "active"); o.GetKind() == "CronJob" && len(active) > 0 {
		return Settling{Moving: name + " has a Job that runs"}
	}
	row, ok := l.rows[ref{o.GetKind(), o.GetName()}]
	if !ok {
		return Settling{}
	}
	return first(row.settling(), l.leaving(func(p *corev1.Pod) bool { return l.descends(p, o.GetUID()) }))
}

// Service says whether the pods behind a Service, and whatever makes them, have
// come to rest. A Service that does not exist, or selects nothing, has.
func (l *Look) Service(name string) Settling {
	s, ok := named(l.services, name)
	if !ok || len(s.Spec.Selector) == 0 {
		return Settling{}
	}
	selector := labels.SelectorFromSet(s.Spec.Selector)
	return first(l.selected(selector), l.fresh(selector))
}

// selected says where the pods of a selector stand, and whatever makes them.
func (l *Look) selected(selector labels.Selector) Settling {
	var all []Settling
	covered := make(map[types.UID]bool)
	add := func(kind string, o metav1.Object, template map[string]string) {
		if selector.Matches(labels.Set(template)) {
			covered[o.GetUID()] = true
			all = append(all, l.rows[ref{kind, o.GetName()}].settling())
		}
	}
	for _, d := range l.view.deployments {
		add("Deployment", d, d.Spec.Template.Labels)
	}
	for _, s := range l.view.statefulSets {
		add("StatefulSet", s, s.Spec.Template.Labels)
	}
	matches := func(p *corev1.Pod) bool { return selector.Matches(labels.Set(p.Labels)) }
	for _, p := range l.view.pods {
		owned := false
		for uid := range covered {
			owned = owned || l.descends(p, uid)
		}
		if matches(p) && !owned && !finished(p) && p.DeletionTimestamp == nil {
			all = append(all, l.rows[ref{"Pod", p.Name}].settling())
		}
	}
	return first(append(all, l.leaving(matches))...)
}

// endpointLag is how long it may take until what a pod says of itself is known
// to everything that sends it requests.
const endpointLag = 3 * time.Second

// fresh tells whether a pod has become ready only just now.
func (l *Look) fresh(selector labels.Selector) Settling {
	for _, p := range l.view.pods {
		if !selector.Matches(labels.Set(p.Labels)) || !podReady(p) {
			continue
		}
		if age := l.now.Sub(readySince(p)); age >= 0 && age < endpointLag {
			return Settling{Moving: "pod " + p.Name + " has just become ready"}
		}
	}
	return Settling{}
}

// leaving tells whether pods of a kind are on their way out.
func (l *Look) leaving(match func(*corev1.Pod) bool) Settling {
	for _, p := range l.view.pods {
		if p.DeletionTimestamp != nil && match(p) {
			return Settling{Moving: "pod " + p.Name + " is being removed"}
		}
	}
	return Settling{}
}

// descends tells whether an object controls a pod, by itself or through a
// ReplicaSet.
func (l *Look) descends(p *corev1.Pod, uid types.UID) bool {
	if ownedBy(p, uid) {
		return true
	}
	return slices.ContainsFunc(l.view.replicaSets, func(rs *appsv1.ReplicaSet) bool { return ownedBy(rs, uid) && ownedBy(p, rs.UID) })
}

// settling reads a judgement. A crash loop counts as one after its second
// restart: nobody waits here for workloads that were installed together.
func (w WorkloadStatus) settling() Settling {
	what := w.Kind + "/" + w.Name + ": "
	if w.Pod != "" && w.Kind != "Pod" {
		what = "pod " + w.Pod + ": "
	}
	switch {
	case w.Kind == "" || w.Ready:
		return Settling{}
	case w.Failed || w.crash && w.Restarts >= crashesAlone:
		if w.Reason != "" {
			what += w.Reason + ": "
		}
		return Settling{Hopeless: what + w.Message}
	default:
		return Settling{Moving: what + w.Message}
	}
}

// first gives something that moves, or something hopeless if nothing does:
// waiting is not in vain as long as anything is on its way.
func first(all ...Settling) Settling {
	for _, s := range all {
		if s.Moving != "" && s.Hopeless == "" {
			return s
		}
	}
	for _, s := range all {
		if s.Hopeless != "" {
			return s
		}
	}
	return Settling{}
}

// Pod gives the best pod of a selector that runs. Without one the name is empty
// and the Settling tells whether one is coming.
func (l *Look) Pod(selector labels.Selector) (name string, s Settling, err error) {
	if l.podsErr != nil {
		return "", Settling{}, l.podsErr
	}
	var match []*corev1.Pod
	for _, p := range l.view.pods {
		if selector.Matches(labels.Set(p.Labels)) {
			match = append(match, p)
		}
	}
	if best := usable(match); len(best) > 0 && best[0].Status.Phase == corev1.PodRunning {
		return best[0].Name, Settling{}, nil
	}
	return "", l.selected(selector), nil
}

// Changed gives the pod that changed last, and how long ago that is.
func (l *Look) Changed() (pod string, ago time.Duration) {
	var last time.Time
	for _, p := range l.view.pods {
		newest := p.CreationTimestamp.Time
		if p.DeletionTimestamp != nil {
			newest = l.now
		}
		for _, c := range p.Status.Conditions {
			if c.LastTransitionTime.After(newest) {
				newest = c.LastTransitionTime.Time
			}
		}
		if newest.After(last) {
			last, pod = newest, p.Name
		}
	}
	return pod, l.now.Sub(last)
}

// Select lists the objects of a kind that match a selector; an empty one takes
// all.
func (o *Objects) Select(ctx context.Context, gvk schema.GroupVersionKind, selector string) ([]unstructured.Unstructured, error) {
	r, err := o.resource(gvk)
	if err != nil {
		return nil, err
	}
	ctx, cancel := request(ctx)
	defer cancel()
	list, err := r.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}
