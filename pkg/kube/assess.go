package kube

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// assess says where each object stands.
func (j *judge) assess(v view, refs []ref) []WorkloadStatus {
	j.claims = make(map[string]finding)
	for _, o := range v.claims {
		if f, stuck := j.volume(o, v.eventsOf(o.UID)); stuck {
			j.claims[o.Name] = f
		}
	}
	rows := make([]WorkloadStatus, 0, len(refs))
	for _, r := range refs {
		rows = append(rows, j.one(v, r))
	}
	j.crashes(rows)
	return rows
}

func (j *judge) one(v view, r ref) WorkloadStatus {
	w := WorkloadStatus{Kind: r.kind, Name: r.name, Message: "waiting to be made"}
	switch r.kind {
	case "Deployment":
		if o, ok := named(v.deployments, r.name); ok {
			return j.controller(v, w, o, replicas(o.Spec.Replicas), o.Status.AvailableReplicas, deploymentTrouble(o))
		}
	case "StatefulSet":
		if o, ok := named(v.statefulSets, r.name); ok {
			return j.controller(v, w, o, replicas(o.Spec.Replicas), o.Status.ReadyReplicas, "")
		}
	case "DaemonSet":
		if o, ok := named(v.daemonSets, r.name); ok {
			return j.controller(v, w, o, o.Status.DesiredNumberScheduled, o.Status.NumberAvailable, "")
		}
	case "Job":
		if o, ok := named(v.jobs, r.name); ok {
			return j.job(v, w, o)
		}
	case "Pod":
		if o, ok := named(v.pods, r.name); ok {
			return w.with(o.Name, j.pod(o, v.eventsOf(o.UID)))
		}
	case "PersistentVolumeClaim":
		if o, ok := named(v.claims, r.name); ok {
			return j.claim(v, w, o)
		}
	}
	return w
}

// with takes over what was found about a pod.
func (w WorkloadStatus) with(pod string, f finding) WorkloadStatus {
	w.Ready, w.Failed, w.crash, w.Reason, w.Message = f.ready, f.failed, f.crash, f.reason, f.message
	w.Pod, w.Container, w.Restarts, w.id = pod, f.container, f.restarts, f.id
	return w
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// deploymentTrouble is what a Deployment itself says about pods it can't make.
func deploymentTrouble(d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

// controller looks at an object that keeps pods running.
func (j *judge) controller(v view, w WorkloadStatus, o metav1.Object, want, have int32, trouble string) WorkloadStatus {
	result := compute(o)
	pods := v.podsOf(o, w.Kind)
	if result != nil && result.Status == status.CurrentStatus && j.steady(pods) {
		w.Ready, w.Message = true, "ready"
		if want != 1 {
			w.Message = fmt.Sprintf("%d/%d ready", have, want)
		}
		for _, p := range pods {
			w.Restarts = max(w.Restarts, restarts(p))
		}
		return w
	}
	worst, ok := j.worst(v, pods)
	if !ok {
		return j.podless(v, w, o, trouble, result)
	}
	w = w.with(worst.pod, worst.finding)
	w.Ready = false
	if want > 1 {
		w.Message = fmt.Sprintf("%d/%d ready, %s", have, want, w.Message)
	}
	if result != nil && result.Status == status.FailedStatus && !w.Failed && !w.crash {
		// The rollout's own deadline (10 minutes, unless the chart says less).
		w.Failed, w.Reason, w.id = true, "ProgressDeadlineExceeded", idRollout
	}
	return w
}

// steady tells whether pods that can't say themselves that they are ready have
// been running for a moment.
func (j *judge) steady(pods []*corev1.Pod) bool {
	ok := true
	for _, p := range pods {
		if !probed(p) && j.now.Sub(readySince(p)) < 2*steady && !j.lasts(string(p.UID)+"/steady", steady) {
			ok = false
		}
	}
	return ok
}

func probed(p *corev1.Pod) bool {
	for _, c := range p.Spec.Containers {
		if c.ReadinessProbe == nil {
			return false
		}
	}
	return true
}

func readySince(p *corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

type podFinding struct {
	pod string
	finding
}

// worst picks the pod that says most about why a workload is not ready.
func (j *judge) worst(v view, pods []*corev1.Pod) (podFinding, bool) {
	var pick podFinding
	found := false
	rank := func(f finding) int {
		switch {
		case f.failed:
			return 4
		case f.crash:
			return 3
		case f.ready:
			return 0
		case f.id != "":
			return 2
		default:
			return 1
		}
	}
	for _, p := range pods {
		if p.Status.Phase == corev1.PodFailed && p.Status.Reason == "Evicted" {
			continue // its successor is what counts
		}
		f := j.pod(p, v.eventsOf(p.UID))
		if !found || rank(f) > rank(pick.finding) {
			pick, found = podFinding{p.Name, f}, true
		}
	}
	if found && pick.ready {
		pick.message = "runs, settling"
	}
	return pick, found
}

// podless explains a workload that has no pods.
func (j *judge) podless(v view, w WorkloadStatus, o metav1.Object, trouble string, result *status.Result) WorkloadStatus {
	w.Message = "waiting for pods to be made"
	if result != nil && result.Message != "" && result.Status == status.FailedStatus {
		w.Failed, w.Reason, w.Message, w.id = true, "ProgressDeadlineExceeded", result.Message, idRollout
	}
	grace := gracePlacement
	for _, uid := range v.creators(o, w.Kind) {
		if msg, last := refused(v.eventsOf(uid)); msg != "" {
			trouble = msg
			if last {
				grace = graceShort
			}
		}
	}
	if trouble != "" {
		w.Reason, w.Message, w.id = "FailedCreate", firstLine(trouble), idForbidden
		w.Failed = j.lasts(string(o.GetUID())+"/create", grace)
	}
	return w
}

func (j *judge) job(v view, w WorkloadStatus, o *batchv1.Job) WorkloadStatus {
	pods := v.podsOf(o, "Job")
	done := int32(0)
	for _, p := range pods {
		if finished(p) {
			done++
		}
	}
	for _, c := range o.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			w.Ready, w.Message = true, "completed"
			return w
		case batchv1.JobFailed:
			w.Failed, w.Reason, w.Message, w.id = true, c.Reason, c.Message, idJob
			for _, p := range pods {
				if p.Status.Phase == corev1.PodFailed {
					f := failedPod(p)
					w.Pod, w.Container, w.Message = p.Name, f.container, f.message
					return w
				}
			}
			return w
		case batchv1.JobSuspended:
			w.Message = "suspended"
			return w
		case batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet:
			// Its pods still end; one of the first two follows.
		}
	}
	if done > 0 && done >= replicas(o.Spec.Completions) {
		// The Job itself says so only seconds later.
		w.Ready, w.Message = true, "completed"
		return w
	}
	if len(pods) == 0 {
		return j.podless(v, w, o, "", nil)
	}
	f := j.pod(pods[0], v.eventsOf(pods[0].UID))
	// How often a Job may crash is the Job's own business: it says when it
	// has failed.
	f.crash = false
	w = w.with(pods[0].Name, f)
	w.Ready = false
	if f.ready {
		w.Message = "runs"
		if pods[0].Status.Phase == corev1.PodSucceeded {
			w.Message = "completing"
		}
	}
	if n := o.Status.Failed; n > 0 && !w.Failed {
		w.Message = fmt.Sprintf("attempt %d of %d, %s", n+1, replicas(o.Spec.BackoffLimit)+1, w.Message)
	}
	return w
}

func (j *judge) claim(v view, w WorkloadStatus, o *corev1.PersistentVolumeClaim) WorkloadStatus {
	events := v.eventsOf(o.UID)
	switch {
	case o.Status.Phase == corev1.ClaimBound:
		w.Ready, w.Message = true, "bound"
	case o.Status.Phase == corev1.ClaimLost:
		w.Failed, w.Reason, w.Message, w.id = true, "ClaimLost", "its volume is gone", idConfig
	case !v.claimed(o.Name) && consumerless(events):
		// Bound only when a pod uses it, and none in sight does.
		w.Ready, w.Message = true, "waits for its first pod"
	default:
		w.Message = "waiting for a volume"
		if f, stuck := j.claims[o.Name]; stuck {
			return w.with("", f)
		}
	}
	return w
}

// compute asks kstatus, which knows the rules of each kind's rollout; nil when
// it does not know.
func compute(o metav1.Object) *status.Result {
	obj, ok := o.(runtime.Object)
	if !ok {
		return nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil
	}
	u := &unstructured.Unstructured{Object: content}
	switch o.(type) { // typed objects carry no kind
	case *appsv1.Deployment:
		u.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	case *appsv1.StatefulSet:
		u.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("StatefulSet"))
	case *appsv1.DaemonSet:
		u.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("DaemonSet"))
	}
	result, err := status.Compute(u)
	if err != nil {
		return nil
	}
	return result
}
