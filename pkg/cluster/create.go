package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	kind "sigs.k8s.io/kind/pkg/cluster"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/docker"
)

const (
	// cleanupTime bounds what is done after a creation failed or was cut off.
	cleanupTime = 60 * time.Second
	// logTime bounds the collection of logs from a node that may hang.
	logTime = 20 * time.Second
	// createTries is how often a creation is tried that lost a race.
	createTries = 3
)

// Create makes the cluster and writes its kubeconfig. It returns when the
// control plane answers; nodes and add-ons may not be ready yet, because waiting
// for them is better done with watches. A half-made cluster of ours is removed
// first; any other of that name is ErrExists or ErrForeign. When ctx ends or the
// creation fails, what was made is removed before Create returns. Calls for one
// name must not overlap (state.Lock).
func (m *Manager) Create(ctx context.Context, s Spec, progress func(msg string)) error {
	if err := s.validate(); err != nil {
		return err
	}
	st, err := m.State(ctx, s.Name)
	switch {
	case err != nil:
		return err
	case st.Phase == Foreign:
		return foreign(st)
	case st.Phase == Partial:
		progress("removing what an earlier creation left")
		if err := m.remove(ctx, s.Name); err != nil {
			return err
		}
	case st.Phase != Absent:
		return fmt.Errorf("create cluster %s: %w", s.Name, ErrExists)
	}
	// kind would try to pull a missing image five times and can't be stopped
	// while it does.
	var image struct{}
	if err := m.docker.Inspect(ctx, "image", s.Image, &image); err != nil {
		if errors.Is(err, docker.ErrNotFound) {
			return clierr.New("Run labctl images pull node, or labctl images build node.", "the engine has no node image %s", s.Image)
		}
		return fmt.Errorf("look for node image %s: %w", s.Image, err)
	}
	for try := 1; ; try++ {
		err = m.createOnce(ctx, s, progress)
		if err == nil || try == createTries || !lostRace(err) {
			return err
		}
		m.log.Debug("creation lost a race, trying again", "try", try, "error", err)
	}
}

func (m *Manager) createOnce(ctx context.Context, s Spec, progress func(string)) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	// kind merges into the file it is given under a lock that a killed process
	// leaves behind. So it gets a file of its own, which is moved to its place.
	fresh := s.Kubeconfig + ".new"
	if err := os.MkdirAll(filepath.Dir(fresh), 0o700); err != nil {
		return fmt.Errorf("make kubeconfig directory: %w", err)
	}
	removeFresh := func() { _ = os.Remove(fresh); _ = os.Remove(fresh + ".lock") }
	removeFresh()
	defer removeFresh()

	p := m.kind(logger{log: m.log, progress: progress})
	done := make(chan error, 1)
	go func() {
		done <- p.Create(s.Name,
			// kind sets defaults on the configuration it is given.
			kind.CreateWithV1Alpha4Config(config.DeepCopy()),
			kind.CreateWithRetain(true), // logs first, then we delete
			kind.CreateWithKubeconfigPath(fresh),
			kind.CreateWithWaitForReady(0), // its wait spins, and gives up without an error
			kind.CreateWithStopBeforeSettingUpKubernetes(s.Host.BuiltinCNI),
			kind.CreateWithDisplayUsage(false),
			kind.CreateWithDisplaySalutation(false))
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		progress("stopping, removing the half-made cluster")
		if cleanErr := m.abort(ctx, s.Name, done); cleanErr != nil {
			m.log.Warn("a half-made cluster may be left", "cluster", s.Name, "error", cleanErr)
		}
		return fmt.Errorf("create cluster %s: %w", s.Name, context.Cause(ctx))
	}
	if err == nil && s.Host.BuiltinCNI {
		err = m.bootstrap(ctx, s, progress)
		if err == nil {
			err = m.writeKubeconfig(ctx, s.Name, fresh)
		}
	}
	if err == nil {
		err = os.Rename(fresh, s.Kubeconfig)
	}
	if err == nil {
		err = m.markComplete(ctx, s)
	}
	if err == nil {
		return nil
	}
	return m.failed(ctx, s, p, err, progress)
}

func (m *Manager) writeKubeconfig(ctx context.Context, name, path string) error {
	content, err := m.Kubeconfig(ctx, name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// abort ends a running creation. kind can't be told to stop, but it does when
// its node goes away; a `docker run` that is still under way brings the node
// back, so the removal is repeated until kind has returned.
func (m *Manager) abort(ctx context.Context, name string, done <-chan error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := m.remove(ctx, name); err != nil {
			m.log.Debug("remove nodes during abort", "error", err)
		}
		select {
		case err := <-done:
			m.log.Debug("the creation ended", "error", err)
			return m.remove(ctx, name)
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("the engine did not end the creation in time")
		}
	}
}

// failed keeps the logs of a creation that went wrong, removes the nodes and
// explains the error.
func (m *Manager) failed(ctx context.Context, s Spec, p provider, err error, progress func(string)) error {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if _, gone := m.docker.Run(clean, "version", "--format", "{{.Server.Version}}"); gone != nil && ctx.Err() == nil {
		// Whatever else went wrong did so because the engine went. The next
		// creation, or a deletion, removes what is left.
		m.log.Debug("creation failed with the engine", "error", err)
		return translate(s.Name, "", gone)
	}
	logs := ""
	// A Ctrl-C typed at a terminal reaches kind's child processes as well, so
	// kind may fail just before ctx ends.
	if ctx.Err() == nil && s.Logs != nil && !lostRace(err) {
		progress("keeping the logs of the failed node")
		logs = m.collectLogs(ctx, s, p)
	}
	if rmErr := m.remove(clean, s.Name); rmErr != nil {
		m.log.Warn("a half-made cluster is left", "cluster", s.Name, "error", rmErr)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("create cluster %s: %w", s.Name, context.Cause(ctx))
	}
	return translate(s.Name, logs, err)
}

func (m *Manager) collectLogs(ctx context.Context, s Spec, p provider) string {
	dir, err := s.Logs()
	if err != nil {
		m.log.Debug("no directory for logs", "error", err)
		return ""
	}
	done := make(chan error, 1)
	go func() { done <- p.CollectLogs(s.Name, dir) }()
	timer := time.NewTimer(logTime)
	defer timer.Stop()
	select {
	case err := <-done:
		if err != nil { // usual: a node that failed lacks some of them
			m.log.Debug("collect logs", "error", err)
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	return dir
}
