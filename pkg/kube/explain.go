package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/pkg/clierr"
)

const (
	logLines    = 15
	eventLines  = 5
	explainTime = 5 * time.Second
)

// hints are what to do about a failure.
//
//nolint:gochecknoglobals // a constant table
var hints = map[string]string{
	idImage: "Can the nodes pull that image? On an existing cluster they need a registry that they reach: --registry.",
	idCrash: "Its log says why.",
	idMemory: "Give the container a higher memory limit, or it less to do. If the engine itself runs in a virtual machine, that needs enough memory too " +
		"(labctl doctor).",
	idConfig: "Something that the pod refers to (a Secret, ConfigMap or volume) is missing.",
	idVolume: "Has the cluster a default StorageClass, and does its provisioner run? kubectl get storageclass lists them. Ask the cluster's administrator " +
		"to mark one as the default.",
	idUnschedulable: "No node has room for it. Take down another lab (labctl down <lab>) or give the cluster more memory and CPU.",
	idForbidden:     "A rule of the cluster (quota, pod security, admission) or a broken manifest keeps the pod from being made.",
	idRollout:       "Look at its pods and events.",
	idJob:           "Its log says why. To try again: labctl down <lab>, then labctl up <lab> (its namespace is lab-<lab>).",
}

// explain makes an error of a workload that failed: why, the last lines of its
// log, its events, and the command that shows more.
func (c *Client) explain(ctx context.Context, namespace string, w WorkloadStatus, v view) error {
	ctx, cancel := context.WithTimeout(ctx, explainTime)
	defer cancel()
	var detail strings.Builder
	if p, ok := named(v.pods, w.Pod); ok {
		if w.id == idCrash || w.id == idMemory || w.id == idJob || w.id == idRollout {
			if log := c.lastLog(ctx, p, w.Container); log != "" {
				fmt.Fprintf(&detail, "last lines of the log of %s:\n%s\n", containerName(p.Name, w.Container), indent(log))
			}
		}
		if text := warningsOf(v.eventsOf(p.UID)); text != "" {
			fmt.Fprintf(&detail, "events of pod %s:\n%s\n", p.Name, indent(text))
		}
	}
	hint := hints[w.id]
	if w.Pod != "" {
		hint += fmt.Sprintf(" More: kubectl describe pod %s --namespace %s", w.Pod, namespace)
	}
	message := w.Message
	if w.Reason != "" && !strings.Contains(message, w.Reason) {
		message = w.Reason + ": " + message
	}
	return &clierr.Error{Op: w.String() + " will not become ready", Err: errors.New(message), ID: w.id, Hint: strings.TrimSpace(hint), Detail: detail.String()}
}

func containerName(pod, container string) string {
	if container == "" {
		return pod
	}
	return pod + "/" + container
}

// lastLog gets the end of the log of the container that failed: of its previous
// life when it is between two tries, or has just begun another.
func (c *Client) lastLog(ctx context.Context, p *corev1.Pod, container string) string {
	lines := int64(logLines)
	previous := true
	for _, cs := range p.Status.ContainerStatuses {
		if cs.Name == container && cs.State.Terminated != nil {
			previous = false
		}
	}
	for _, prev := range []bool{previous, !previous} {
		raw, err := c.Clientset.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
			Container: container, Previous: prev, TailLines: &lines,
		}).DoRaw(ctx)
		text := strings.TrimSpace(string(raw))
		// A container that was removed meanwhile is told as if it were its log.
		if err == nil && text != "" && !strings.HasPrefix(text, "unable to retrieve container logs") {
			return text
		}
	}
	return ""
}

// warningsOf gives the newest warnings among events.
func warningsOf(events []*corev1.Event) string {
	var lines []string
	for _, e := range events {
		if e.Type == corev1.EventTypeWarning {
			lines = append(lines, e.Reason+": "+firstLine(e.Message))
		}
	}
	if len(lines) > eventLines {
		lines = lines[len(lines)-eventLines:]
	}
	return strings.Join(lines, "\n")
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }
