package kube

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// finding is what there is to say about one pod.
type finding struct {
	ready     bool
	failed    bool
	crash     bool // failed if it goes on, see judge.crashes
	reason    string
	message   string
	container string
	restarts  int32
	id        string // of the error that a failure becomes
}

// Ids of failures, for explanations and scripts.
const (
	idImage         = "pod-image"
	idCrash         = "pod-crash-loop"
	idMemory        = "pod-out-of-memory"
	idConfig        = "pod-config"
	idUnschedulable = "pod-unschedulable"
	idForbidden     = "pod-forbidden"
	idRollout       = "rollout-stuck"
	idJob           = "job-failed"
	idVolume        = "volume"
	idTimeout       = "wait-timeout"
)

// pod looks at one pod.
func (j *judge) pod(p *corev1.Pod, events []*corev1.Event) finding {
	switch {
	case p.Status.Phase == corev1.PodSucceeded:
		return finding{ready: true, message: "completed"}
	case p.Status.Phase == corev1.PodFailed:
		return failedPod(p)
	case podReady(p):
		return finding{ready: true, message: "ready", restarts: restarts(p)}
	}
	if f, waits := j.scheduling(p, events); waits {
		return f
	}
	if f, trouble := j.mount(p, events); trouble {
		return f
	}
	all := append(append([]corev1.ContainerStatus(nil), p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...)
	for _, cs := range all {
		if f, trouble := j.container(p, cs); trouble {
			f.container, f.restarts = cs.Name, cs.RestartCount
			return f
		}
	}
	f := progress(p, events)
	if f.restarts == 0 {
		f.restarts = restarts(p)
	}
	return f
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func restarts(p *corev1.Pod) int32 {
	var most int32
	for _, cs := range p.Status.ContainerStatuses {
		most = max(most, cs.RestartCount)
	}
	return most
}

// failedPod explains a pod that ended and stays so; whatever made it makes
// another one or gives up.
func failedPod(p *corev1.Pod) finding {
	f := finding{reason: p.Status.Reason, message: p.Status.Message}
	for _, cs := range append(append([]corev1.ContainerStatus(nil), p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
		t := cs.State.Terminated
		if t == nil || t.ExitCode == 0 && t.Reason != "OOMKilled" {
			continue
		}
		f.container, f.reason, f.message = cs.Name, t.Reason, ended(cs.Name, t)
		if t.Reason == "OOMKilled" {
			f.failed, f.id, f.message = true, idMemory, outOfMemory(p, cs.Name)
		}
		return f
	}
	if f.message == "" {
		f.message = strings.TrimSpace("failed " + f.reason)
	}
	return f
}

func ended(container string, t *corev1.ContainerStateTerminated) string {
	if t.Signal != 0 {
		return fmt.Sprintf("container %s was ended by signal %d", container, t.Signal)
	}
	return fmt.Sprintf("container %s ended with exit code %d", container, t.ExitCode)
}

func outOfMemory(p *corev1.Pod, container string) string {
	for _, c := range append(append([]corev1.Container(nil), p.Spec.InitContainers...), p.Spec.Containers...) {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == container {
			return fmt.Sprintf("container %s used more than its memory limit of %s and was killed", container, limit.String())
		}
	}
	return fmt.Sprintf("container %s ran out of memory and was killed", container)
}

// notYet are reasons of a scheduler that pass by themselves. A volume that does
// not come is judged by its claim.
var notYet = regexp.MustCompile(`node\.kubernetes\.io/(not-ready|unreachable|network-unavailable)|node\.cloudprovider\.kubernetes\.io/uninitialized|` +
	`unbound immediate PersistentVolumeClaims|waiting for ephemeral volume`)

// scheduling tells whether the pod has no node yet, and why.
func (j *judge) scheduling(p *corev1.Pod, events []*corev1.Event) (finding, bool) {
	if p.Spec.NodeName != "" {
		return finding{}, false
	}
	for _, name := range claimsOf(p) {
		if f, ok := j.claims[name]; ok {
			return f, true
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status == corev1.ConditionTrue {
			continue
		}
		if c.Reason != corev1.PodReasonUnschedulable {
			return finding{reason: c.Reason, message: "not to be scheduled yet"}, true
		}
		return j.unschedulable(p, c.Message, events), true
	}
	return finding{message: "waiting to be scheduled"}, true
}

func (j *judge) unschedulable(p *corev1.Pod, message string, events []*corev1.Event) finding {
	message, _, _ = strings.Cut(message, " preemption:")
	message = strings.TrimSuffix(strings.TrimSpace(message), ".")
	f := finding{reason: corev1.PodReasonUnschedulable, message: message, id: idUnschedulable}
	if notYet.MatchString(message) {
		f.message = "waiting for a node or volume: " + message
		return f
	}
	for _, e := range events {
		// A cluster that grows on demand has promised a node.
		if e.Reason == "TriggeredScaleUp" || e.Reason == "Nominated" {
			f.message = "waiting for a new node: " + message
			return f
		}
	}
	grace := gracePlacement
	if strings.Contains(message, "Insufficient") || strings.Contains(message, "Too many pods") {
		grace = graceRoom
	}
	f.failed = j.lasts(string(p.UID)+"/unschedulable", grace)
	return f
}

// container tells whether one container is in trouble.
func (j *judge) container(p *corev1.Pod, cs corev1.ContainerStatus) (finding, bool) {
	key := string(p.UID) + "/" + cs.Name + "/"
	if killed(cs) && !cs.Ready {
		return finding{failed: true, reason: "OOMKilled", message: outOfMemory(p, cs.Name), id: idMemory}, true
	}
	if t := cs.State.Terminated; t != nil && cs.RestartCount > 0 && (t.ExitCode != 0 || p.Spec.RestartPolicy == corev1.RestartPolicyAlways && isMain(p, cs.Name)) {
		return j.stopped(key, cs, t, "CrashLoopBackOff"), true // kubelet calls it so a moment later
	}
	w := cs.State.Waiting
	if w == nil {
		return finding{}, false
	}
	image := shortImage(cs.Image)
	switch w.Reason {
	case "CrashLoopBackOff", "RunContainerError":
		return j.stopped(key, cs, cs.LastTerminationState.Terminated, w.Reason), true
	case "InvalidImageName", "ErrImageNeverPull":
		return finding{failed: true, reason: w.Reason, message: "image " + cs.Image + ": " + firstLine(w.Message), id: idImage}, true
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed":
		f := finding{reason: w.Reason, message: "can't pull " + image + ": " + pullReason(w.Message), id: idImage}
		grace := gracePull
		if lastingPull.MatchString(w.Message) {
			grace = graceShort
		}
		f.failed = j.lasts(key+"pull", grace)
		return f, true
	case "CreateContainerConfigError", "CreateContainerError":
		f := finding{reason: w.Reason, message: firstLine(w.Message), id: idConfig}
		f.failed = j.lasts(key+"config", graceConfig)
		return f, true
	}
	return finding{}, false
}

// lastingStart matches what a runtime says of a container that can't ever start.
var lastingStart = regexp.MustCompile(`(?i)not found|no such file|permission denied|exec format error|not a directory|is a directory|unable to find user`)

// stopped tells of a container that ended. One that the runtime could not start,
// for a reason that is not the container's own, did not crash: a busy machine
// has that, above all when it starts all containers at once after a reboot.
func (j *judge) stopped(key string, cs corev1.ContainerStatus, t *corev1.ContainerStateTerminated, reason string) finding {
	f := crashed(cs, t, reason)
	switch {
	case t == nil:
	case neverRan(t) && !lastingStart.MatchString(t.Message):
		f.crash, f.failed = false, j.lasts(key+"start", graceStart)
	case t.Reason == "Unknown": // it went down with its node
		f.crash = false
	}
	return f
}

func neverRan(t *corev1.ContainerStateTerminated) bool {
	return t.Reason == "StartError" || t.Reason == "ContainerCannotRun"
}

// crashed describes a container that ended and is started again and again.
func crashed(cs corev1.ContainerStatus, t *corev1.ContainerStateTerminated, reason string) finding {
	f := finding{crash: true, reason: reason, message: "restarted after a crash", id: idCrash}
	if t != nil {
		f.message = ended(cs.Name, t)
		if neverRan(t) {
			f.message += ": " + firstLine(t.Message)
		}
	}
	switch n := cs.RestartCount; {
	case n == 1:
		f.message += ", restarted once"
	case n > 1:
		f.message += fmt.Sprintf(", restarted %d times", n)
	}
	return f
}

func isMain(p *corev1.Pod, container string) bool {
	for _, c := range p.Spec.Containers {
		if c.Name == container {
			return true
		}
	}
	return false
}

func killed(cs corev1.ContainerStatus) bool {
	for _, s := range []corev1.ContainerState{cs.State, cs.LastTerminationState} {
		if s.Terminated != nil && s.Terminated.Reason == "OOMKilled" {
			return true
		}
	}
	return false
}

// lastingPull are answers of a registry that trying again does not change.
var lastingPull = regexp.MustCompile(`(?i)not found|manifest unknown|unauthorized|forbidden|denied|no such host|no match for platform|invalid reference|unsupported`)

// pullReason is the end of the chain that kubelet prints, which names the cause.
func pullReason(message string) string {
	message = strings.TrimSpace(firstLine(message))
	if _, rest, ok := strings.Cut(message, "ErrImagePull: "); ok {
		message = strings.Trim(rest, `"`)
	}
	parts := strings.Split(message, ": ")
	if len(parts) > 2 {
		parts = parts[len(parts)-2:]
	}
	if text := strings.Join(parts, ": "); text != "" {
		return text
	}
	return "no reason given"
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// shortImage leaves tag and digest out.
func shortImage(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndex(image, ":"); colon > strings.LastIndex(image, "/") {
		image = image[:colon]
	}
	return image
}

// progress says what a pod without trouble is waiting for.
func progress(p *corev1.Pod, events []*corev1.Event) finding {
	total := len(p.Spec.Containers)
	ready := 0
	for _, cs := range p.Status.ContainerStatuses {
		if cs.Ready {
			ready++
		}
	}
	count := ""
	if total > 1 {
		count = fmt.Sprintf(" (%d/%d containers)", ready, total)
	}
	for i, cs := range p.Status.InitContainerStatuses {
		switch {
		case cs.State.Running != nil && (cs.Started == nil || !*cs.Started || !sidecar(p, cs.Name)):
			return finding{container: cs.Name, message: fmt.Sprintf("init container %s runs (%d/%d)", cs.Name, i+1, len(p.Status.InitContainerStatuses))}
		case cs.State.Waiting != nil:
			return finding{container: cs.Name, message: creating(p, events) + count}
		}
	}
	for _, cs := range p.Status.ContainerStatuses {
		if cs.Ready {
			continue
		}
		if t := cs.State.Terminated; t != nil && t.ExitCode == 0 {
			return finding{container: cs.Name, message: "completing" + count, restarts: cs.RestartCount}
		} else if t != nil {
			return finding{container: cs.Name, message: ended(cs.Name, t) + count, restarts: cs.RestartCount}
		}
		if cs.State.Running == nil {
			return finding{container: cs.Name, message: creating(p, events) + count, restarts: cs.RestartCount}
		}
		text := "starting"
		if cs.Started != nil && *cs.Started {
			text = "runs, not ready"
		}
		if probe := lastProbe(events, cs.Name, cs.State.Running.StartedAt.Time); probe != "" {
			text += ", " + probe
		}
		return finding{container: cs.Name, message: text + count, restarts: cs.RestartCount}
	}
	return finding{message: creating(p, events) + count}
}

func sidecar(p *corev1.Pod, name string) bool {
	for _, c := range p.Spec.InitContainers {
		if c.Name == name {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}
