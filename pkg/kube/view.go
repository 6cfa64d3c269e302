package kube

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// view is what a namespace holds at one moment, as far as it matters for
// readiness. It may come from watches or from single reads.
type view struct {
	deployments  []*appsv1.Deployment
	replicaSets  []*appsv1.ReplicaSet
	statefulSets []*appsv1.StatefulSet
	daemonSets   []*appsv1.DaemonSet
	jobs         []*batchv1.Job
	pods         []*corev1.Pod
	claims       []*corev1.PersistentVolumeClaim
	events       []*corev1.Event
}

func named[T metav1.Object](list []T, name string) (T, bool) {
	for _, o := range list {
		if o.GetName() == name {
			return o, true
		}
	}
	var none T
	return none, false
}

// revisionAnnotation tells which rollout of a Deployment a ReplicaSet is.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// podsOf gives the pods that an object owns, newest first. For a Deployment
// those are the pods of its current rollout: an old one's troubles are over.
func (v view) podsOf(owner metav1.Object, kind string) []*corev1.Pod {
	owners := map[types.UID]bool{owner.GetUID(): true}
	if kind == "Deployment" {
		owners = make(map[types.UID]bool)
		for _, rs := range v.replicaSets {
			if ownedBy(rs, owner.GetUID()) && rs.Annotations[revisionAnnotation] == owner.GetAnnotations()[revisionAnnotation] {
				owners[rs.UID] = true
			}
		}
	}
	var pods []*corev1.Pod
	for _, p := range v.pods {
		c := metav1.GetControllerOf(p)
		if c != nil && owners[c.UID] && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

func ownedBy(o metav1.Object, uid types.UID) bool {
	c := metav1.GetControllerOf(o)
	return c != nil && c.UID == uid
}

// creators gives the objects that make the pods of an owner: where the events
// about pods that could not even be made are found.
func (v view) creators(owner metav1.Object, kind string) []types.UID {
	uids := []types.UID{owner.GetUID()}
	if kind == "Deployment" {
		for _, rs := range v.replicaSets {
			if ownedBy(rs, owner.GetUID()) {
				uids = append(uids, rs.UID)
			}
		}
	}
	return uids
}

// eventsOf gives the events about one object, oldest first.
func (v view) eventsOf(uid types.UID) []*corev1.Event {
	var list []*corev1.Event
	for _, e := range v.events {
		if e.InvolvedObject.UID == uid {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b *corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
	return list
}

// eventTime is when an event was last seen. Old and new recorders fill
// different fields.
func eventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	default:
		return e.CreationTimestamp.Time
	}
}
