package kube

import (
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// imageInEvent finds the image in "Pulling image \"x\"" and the like.
var imageInEvent = regexp.MustCompile(`image "([^"]+)"`)

// creating says from the events what keeps containers from being made.
func creating(p *corev1.Pod, events []*corev1.Event) string {
	text := "creating containers"
	if p.Spec.NodeName != "" && len(events) == 0 {
		return text
	}
	pulling := make(map[string]bool)
	for _, e := range events {
		m := imageInEvent.FindStringSubmatch(e.Message)
		switch e.Reason {
		case "Pulling":
			if m != nil {
				pulling[m[1]] = true
				text = "pulling " + shortImage(m[1])
			}
		case "Pulled", "Failed":
			if m != nil {
				delete(pulling, m[1])
			}
			text = "creating containers"
			for image := range pulling {
				text = "pulling " + shortImage(image)
			}
		case "FailedAttachVolume": // may take minutes where a volume changes its node
			text = "waiting for a volume: " + lastPart(e.Message)
		case "SuccessfulAttachVolume":
			text = "creating containers"
		case "FailedCreatePodSandBox", "NetworkNotReady":
			text = "waiting for the pod network: " + lastPart(e.Message)
		}
	}
	return text
}

// lastPart is the cause in a chain of "a: b: c".
func lastPart(message string) string {
	parts := strings.Split(firstLine(message), ": ")
	if n := len(parts); n > 2 {
		parts = parts[n-2:]
	}
	return strings.Join(parts, ": ")
}

// lastProbe gives the newest word of a failing probe of a container, since it
// was started.
func lastProbe(events []*corev1.Event, container string, since time.Time) string {
	text := ""
	for _, e := range events {
		if e.Reason != "Unhealthy" || !strings.Contains(e.InvolvedObject.FieldPath, "{"+container+"}") || eventTime(e).Before(since) {
			continue
		}
		kind, why, ok := strings.Cut(firstLine(e.Message), " failed: ")
		if !ok {
			continue
		}
		why = strings.TrimPrefix(why, "HTTP probe failed with statuscode: ")
		if strings.HasPrefix(why, "Get ") || strings.HasPrefix(why, "dial ") {
			why = lastPart(why)
		}
		text = strings.ToLower(kind) + ": " + why
	}
	return text
}

// refused gives the newest event about pods that could not be made, such as
// those that a quota or a pod security standard forbids.
func refused(events []*corev1.Event) (message string, lasting bool) {
	for _, e := range events {
		switch e.Reason {
		case "FailedCreate":
			message = e.Message
		case "SuccessfulCreate":
			message = ""
		}
	}
	return message, strings.Contains(message, "is forbidden") || strings.Contains(message, "is invalid")
}

// consumerless tells whether a claim only waits for a pod that uses it.
func consumerless(events []*corev1.Event) bool {
	for _, e := range slices.Backward(events) {
		switch e.Reason {
		case "WaitForFirstConsumer":
			return true
		case "WaitForPodScheduled", "Provisioning", "ExternalProvisioning", "ProvisioningFailed":
			return false
		}
	}
	return false
}
