package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/docker"
)

// stopTime is how long a node may take to stop its pods and services.
const stopTime = 30 * time.Second

// removeTries bounds how often nodes are removed that come back, as those of a
// `docker run` that was under way.
const removeTries = 5

// Delete removes our cluster in whatever state it is. A cluster that does not
// exist is fine; one that is not ours is ErrForeign. The caller forgets the
// kubeconfig.
func (m *Manager) Delete(ctx context.Context, name string) error {
	st, err := m.State(ctx, name)
	switch {
	case err != nil:
		return err
	case st.Phase == Foreign:
		return foreign(st)
	case st.Phase == Absent:
		return nil
	}
	return m.remove(ctx, name)
}

// remove deletes the node containers that are ours, with their volumes.
func (m *Manager) remove(ctx context.Context, name string) error {
	var last error
	for range removeTries {
		containers, err := m.containers(ctx, name)
		if err != nil {
			return fmt.Errorf("remove cluster %s: %w", name, err)
		}
		args := []string{"rm", "--force", "--volumes"}
		for _, c := range containers {
			if source := c.ownerDir(); source != "" && m.owner.Owns(source) && c.Config.Labels[kindClusterLabel] == name {
				args = append(args, c.ID)
			}
		}
		if len(args) == 3 {
			return nil
		}
		if _, last = m.docker.Run(ctx, args...); last != nil && !errors.Is(last, docker.ErrNotFound) {
			m.log.Debug("remove nodes", "error", last)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("remove cluster %s: %w", name, context.Cause(ctx))
		}
	}
	return clierr.Wrap(last, "remove cluster "+name, "Look at `docker ps -a` and the engine's log; restarting the engine may help.")
}

// Stop stops the nodes; what runs in them starts again with Start or when the
// engine starts.
func (m *Manager) Stop(ctx context.Context, name string) error {
	st, err := m.ours(ctx, name)
	if err != nil {
		return err
	}
	args := []string{"stop", "-t", strconv.Itoa(int(stopTime.Seconds()))}
	for _, n := range st.Nodes {
		if n.Status == "paused" { // a paused node can't shut down
			if _, err := m.docker.Run(ctx, "unpause", n.Name); err != nil {
				return fmt.Errorf("stop cluster %s: %w", name, err)
			}
		}
		args = append(args, n.Name)
	}
	if _, err := m.docker.Run(ctx, args...); err != nil {
		return fmt.Errorf("stop cluster %s: %w", name, err)
	}
	return nil
}

// Start starts the nodes of a stopped cluster and waits until they have booted:
// no command may be run in them before. The API server's port may have changed:
// read the kubeconfig anew.
func (m *Manager) Start(ctx context.Context, name string) error {
	st, err := m.ours(ctx, name)
	if err != nil {
		return err
	}
	for _, n := range st.Nodes {
		verb := "start"
		if n.Status == "paused" {
			verb = "unpause"
		}
		if _, err := m.docker.Run(ctx, verb, n.Name); err != nil {
			return clierr.Wrap(err, "start cluster "+name,
				"If the node can't be started any more, remove the cluster and bring the lab up anew: labctl down --all, then labctl up.")
		}
		if err := m.boot(ctx, n.Name); err != nil {
			return err
		}
	}
	return nil
}

// boot waits until a node that was just started has booted.
func (m *Manager) boot(ctx context.Context, node string) error {
	bounded, cancel := context.WithTimeoutCause(ctx, bootTime, errSlow)
	defer cancel()
	var c container
	err := m.docker.Inspect(bounded, "container", node, &c)
	if err == nil {
		err = m.waitBooted(bounded, node, c)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("start node %s: %w", node, context.Cause(ctx))
	case bounded.Err() != nil:
		return slow(node, bootTime, err)
	}
	return clierr.Wrap(err, "start node "+node, "docker logs "+node+" shows how far it came. labctl down --all removes the cluster, labctl up makes it anew.")
}

// ours gives the state of a cluster that exists, is ours and is whole.
func (m *Manager) ours(ctx context.Context, name string) (State, error) {
	st, err := m.State(ctx, name)
	switch {
	case err != nil:
		return st, err
	case st.Phase == Foreign:
		return st, foreign(st)
	case st.Phase == Absent:
		return st, fmt.Errorf("cluster %s: %w", name, ErrAbsent)
	case st.Phase == Partial:
		return st, clierr.New("labctl up makes it anew, labctl down --all removes it.", "cluster %s can't be used: %s", name, st.Why)
	}
	return st, nil
}

// Kubeconfig reads the credentials of a running cluster from its node, with the
// address that is valid on this machine now. The node must have booted: Create
// and Start return after that.
func (m *Manager) Kubeconfig(ctx context.Context, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() { // kind takes no context, and an engine may hang
		text, err := m.kind(logger{log: m.log, progress: func(string) {}}).KubeConfig(name, false)
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, translate(name, "", r.err)
		}
		return []byte(r.text), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("read kubeconfig of cluster %s: %w", name, context.Cause(ctx))
	}
}
