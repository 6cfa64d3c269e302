package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// claimsOf gives the names of the claims that a pod uses.
func claimsOf(p *corev1.Pod) []string {
	var names []string
	for _, v := range p.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil:
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			names = append(names, p.Name+"-"+v.Name)
		}
	}
	return names
}

// claimed tells whether a pod uses the claim.
func (v view) claimed(name string) bool {
	for _, p := range v.pods {
		if slices.Contains(claimsOf(p), name) {
			return true
		}
	}
	return false
}

// volume tells whether a claim gets no volume, and why. Tries again are seen
// as events that only repeat, so a failure stands until the claim is bound.
func (j *judge) volume(o *corev1.PersistentVolumeClaim, events []*corev1.Event) (finding, bool) {
	if o.Status.Phase == corev1.ClaimBound || o.Status.Phase == corev1.ClaimLost {
		return finding{}, false
	}
	var f finding
	grace := graceVolume
	for _, e := range events {
		switch e.Reason {
		case "FailedBinding": // no volume fits, and no StorageClass would make one
			grace = gracePlacement
		case "ProvisioningFailed":
			grace = graceVolume
		default:
			continue
		}
		f = finding{reason: e.Reason, message: "no volume for claim " + o.Name + ": " + lastPart(e.Message), id: idVolume}
	}
	if f.reason == "" {
		return f, false
	}
	f.failed = j.lasts(string(o.UID)+"/volume", grace)
	return f, true
}

// mount tells whether the pod's node can't mount what the pod refers to.
func (j *judge) mount(p *corev1.Pod, events []*corev1.Event) (finding, bool) {
	var last *corev1.Event
	for _, e := range events {
		switch e.Reason {
		case "FailedMount":
			last = e
		case "SuccessfulAttachVolume", "Pulling", "Pulled", "Created", "Started":
			last = nil // containers are made after the mounts
		}
	}
	if last == nil {
		return finding{}, false
	}
	for _, cs := range append(append([]corev1.ContainerStatus(nil), p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
		if cs.State.Waiting == nil {
			return finding{}, false
		}
	}
	f := finding{reason: last.Reason, message: "waiting for a volume: " + lastPart(last.Message), id: idConfig}
	f.failed = j.lasts(string(p.UID)+"/mount", graceVolume)
	return f, true
}

// finished tells whether a pod has done its work, even if its phase does not
// say so yet.
func finished(p *corev1.Pod) bool {
	if p.Status.Phase == corev1.PodSucceeded {
		return true
	}
	if p.Status.Phase == corev1.PodFailed || len(p.Status.ContainerStatuses) < len(p.Spec.Containers) {
		return false
	}
	for _, cs := range p.Status.ContainerStatuses {
		if t := cs.State.Terminated; t == nil || t.ExitCode != 0 {
			return false
		}
	}
	return len(p.Spec.Containers) > 0
}
