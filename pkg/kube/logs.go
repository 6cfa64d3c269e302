package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Logs says which logs to read.
type Logs struct {
	Namespace string
	Selector  string // empty means every pod
	Container string // empty means every container
	Follow    bool   // go on until ctx ends, with pods that come later too
	Previous  bool   // of the container before its last restart
	Tail      int64  // lines per container; negative means all
	// Prefix puts pod and container before each line.
	Prefix bool
}

// Logs writes the logs of pods to w, line by line.
func (c *Client) Logs(ctx context.Context, l Logs, w io.Writer) error {
	selector, err := labels.Parse(l.Selector)
	if err != nil {
		return fmt.Errorf("selector %q: %w", l.Selector, err)
	}
	out := &lines{w: w}
	if l.Follow {
		return c.follow(ctx, l, selector, out)
	}
	once, cancel := request(ctx)
	defer cancel()
	list, err := c.Clientset.CoreV1().Pods(l.Namespace).List(once, metav1.ListOptions{LabelSelector: l.Selector})
	if err != nil {
		return fmt.Errorf("list pods in namespace %s: %w", l.Namespace, err)
	}
	if len(list.Items) == 0 {
		return fmt.Errorf("%w in namespace %s: selector %s", ErrNoPod, l.Namespace, l.Selector)
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for _, pod := range list.Items {
		for _, run := range runs(&pod, l) {
			if err := c.copyLog(ctx, l, &pod, run.container, out); err != nil {
				return err
			}
		}
	}
	return out.err
}

// run is one life of a container.
type run struct {
	pod       types.UID
	container string
	restart   int32
}

// runs gives the containers of a pod that have a log.
func runs(p *corev1.Pod, l Logs) []run {
	var list []run
	for _, cs := range append(slices.Clone(p.Status.InitContainerStatuses), p.Status.ContainerStatuses...) {
		started := cs.State.Running != nil || cs.State.Terminated != nil || cs.LastTerminationState.Terminated != nil
		if l.Previous {
			started = cs.LastTerminationState.Terminated != nil
		}
		if started && (l.Container == "" || l.Container == cs.Name) {
			list = append(list, run{p.UID, cs.Name, cs.RestartCount})
		}
	}
	return list
}

// follow reads the log of every container that starts, until ctx ends.
func (c *Client) follow(ctx context.Context, l Logs, selector labels.Selector, out *lines) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out.stop = cancel
	pods, err := c.watchPods(ctx, l.Namespace, selector)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	begun := make(map[run]bool)
	first := true
	for {
		list, _ := pods.lister.List(selector)
		for _, pod := range list {
			for _, r := range runs(pod, l) {
				if begun[r] {
					continue
				}
				begun[r] = true
				from := l
				if !first {
					from.Tail = -1 // nothing of what starts from now on is left out
				}
				wg.Go(func() {
					if err := c.copyLog(ctx, from, pod, r.container, out); err != nil && ctx.Err() == nil {
						c.log.Debug("log ended", "pod", pod.Name, "container", r.container, "error", err)
					}
				})
			}
		}
		first = false
		select {
		case <-ctx.Done():
			cause := context.Cause(ctx)
			if out.err != nil {
				return out.err
			}
			return cause
		case <-pods.changed:
		}
	}
}

// copyLog writes the log of one container.
func (c *Client) copyLog(ctx context.Context, l Logs, p *corev1.Pod, container string, out *lines) error {
	opts := &corev1.PodLogOptions{Container: container, Follow: l.Follow, Previous: l.Previous}
	if l.Tail >= 0 {
		opts.TailLines = &l.Tail
	}
	stream, err := c.Clientset.CoreV1().Pods(p.Namespace).GetLogs(p.Name, opts).Stream(ctx)
	if apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) {
		return nil // it went, or has not started yet
	}
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", containerName(p.Name, container), err)
	}
	defer func() { _ = stream.Close() }()
	prefix := ""
	if l.Prefix {
		prefix = "[" + containerName(p.Name, container) + "] "
	}
	r := bufio.NewReader(stream)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 && !out.write(prefix, line) {
			return out.err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log of %s: %w", containerName(p.Name, container), err)
		}
	}
}

// lines writes whole lines of several logs.
type lines struct {
	mu   sync.Mutex
	w    io.Writer
	err  error
	stop context.CancelCauseFunc
}

// write tells whether to go on: a reader that went away (a closed pipe) ends it
// all.
func (l *lines) write(prefix string, line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	line = append([]byte(prefix), bytes.TrimRight(line, "\n")...)
	if _, err := l.w.Write(append(line, '\n')); err != nil {
		l.err = fmt.Errorf("write logs: %w", err)
		if l.stop != nil {
			l.stop(l.err)
		}
		return false
	}
	return true
}
