package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/docker"
)

// bootedRE is what a node prints when commands may be run in it. Before that a
// `docker exec` would break the node's cgroup set-up (kind#2409).
var bootedRE = regexp.MustCompile(`Reached target .*Multi-User System|detected cgroup v1`)

// containerPoll is how often a node container that does not exist yet is looked
// for; the engine has no way to wait for one.
const containerPoll = 150 * time.Millisecond

const (
	// readyTime bounds the wait for containerd: a node that boots does so
	// within half a minute, even on a slow machine.
	readyTime = 3 * time.Minute
	// bootTime bounds the wait for a node that was started.
	bootTime = 2 * time.Minute
)

// WaitContainerd returns as soon as containerd answers in the node of a cluster
// that is being created or started, so that images can be pulled while the
// control plane still comes up. A node that stops or goes away is waited for
// again: whoever makes or starts it knows better what went wrong, and ends ctx.
func (m *Manager) WaitContainerd(ctx context.Context, s Spec) error {
	node := NodeName(s.Name)
	bounded, cancel := context.WithTimeoutCause(ctx, readyTime, errSlow)
	defer cancel()
	tick := time.NewTicker(containerPoll)
	defer tick.Stop()
	why := errSlow
	for {
		err := m.waitContainerd(bounded, node, s.Host)
		if err == nil || bounded.Err() == nil && !errors.Is(err, errLogEnd) && !errors.Is(err, errExec) {
			return err
		}
		if bounded.Err() == nil { // or err only says that time is up
			why = err
		}
		select {
		case <-tick.C:
		case <-bounded.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("wait for node %s: %w", node, context.Cause(ctx))
			}
			return slow(node, readyTime, why)
		}
	}
}

// slow says that a node does not get ready.
func slow(node string, after time.Duration, err error) error {
	return &clierr.Error{
		Op: fmt.Sprintf("node %s was not ready after %s", node, after), Err: err, ID: "node-boot",
		Hint: "docker logs " + node + " shows how far it came; labctl doctor checks the engine.",
	}
}

func (m *Manager) waitContainerd(ctx context.Context, node string, host Host) error {
	c, err := m.waitRunning(ctx, node)
	if err == nil {
		err = m.waitBooted(ctx, node, c)
	}
	if err != nil {
		return fmt.Errorf("wait for node %s: %w", node, err)
	}
	// kind restarts containerd after it has patched its configuration; a pull
	// must not be cut off by that. The socket is made anew at each start.
	ready := "ctr version"
	if settings := host.containerdSettings(); len(settings) > 0 {
		ready = "test /run/containerd/containerd.sock -nt /etc/containerd/config.toml && " + ready
		for _, set := range settings {
			ready = "grep -q '" + set.line + "' /etc/containerd/config.toml && " + ready
		}
	}
	if _, err := m.docker.Exec(ctx, node, "sh", "-c", "until { "+ready+"; } >/dev/null 2>&1; do sleep 0.1; done"); err != nil {
		return fmt.Errorf("%w in node %s: %w", errExec, node, err)
	}
	return nil
}

// waitRunning waits until there is a node, and it is ours and runs.
func (m *Manager) waitRunning(ctx context.Context, node string) (container, error) {
	tick := time.NewTicker(containerPoll)
	defer tick.Stop()
	var c container
	for {
		err := m.docker.Inspect(ctx, "container", node, &c)
		if err != nil && !errors.Is(err, docker.ErrNotFound) {
			return c, err
		}
		if source := c.ownerDir(); err == nil && (source == "" || !m.owner.Owns(source)) {
			return c, ErrForeign
		}
		if err == nil && c.State.Status == "running" {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return c, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// waitBooted waits until commands may be run in a node that was started.
func (m *Manager) waitBooted(ctx context.Context, node string, c container) error {
	logCtx, stop := context.WithCancel(ctx)
	defer stop()
	r, w := io.Pipe()
	go func() {
		// Without --since a restarted node would be taken as booted for
		// what it printed the last time; "since it started" is its own log.
		err := m.docker.Stream(logCtx, nil, w, w, nil, "logs", "--follow", "--since", c.startedAt(), node)
		_ = w.CloseWithError(errors.Join(errLogEnd, err))
	}()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if bootedRE.Match(lines.Bytes()) {
			stop()
			_ = r.Close()
			return nil
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return lines.Err()
}

// Why a node is not ready.
var (
	errLogEnd = errors.New("the node stopped before it had booted")
	errExec   = errors.New("waiting for containerd ended")
	errSlow   = errors.New("it is still starting")
)

// certsDir is where containerd looks up registries, at each pull.
const certsDir = "/etc/containerd/certs.d"

// PullOnNode pulls an image into a node through its containerd, whether or not
// kubelet runs yet. Registries are looked up as kubelet does it.
func (m *Manager) PullOnNode(ctx context.Context, node, ref string, progress func(msg string)) error {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(r)
		lines.Split(scanProgress)
		for lines.Scan() {
			if text := pullProgress(lines.Text()); text != "" && progress != nil {
				progress(text)
			}
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	err := m.docker.Stream(ctx, nil, w, nil, nil, "exec", node, "ctr", "--namespace", "k8s.io", "images", "pull", "--hosts-dir", certsDir, ref)
	_ = w.Close()
	<-done
	if err != nil {
		return fmt.Errorf("pull %s in node %s: %w", ref, node, err)
	}
	return nil
}
