package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/storage/driver"
)

const (
	// hookTimeout must be set although labs have no hooks: zero means for ever.
	hookTimeout = time.Minute
	// goneInterval is how often a removal looks whether objects are still there.
	goneInterval = 250 * time.Millisecond
	// keptRevisions is how much history an upgraded release keeps.
	keptRevisions = 5
)

// ApplyOptions change what Apply does.
type ApplyOptions struct {
	// Upgrade changes a deployed release too. It sets every field of the chart
	// back that was changed in the cluster.
	Upgrade bool
}

// Apply makes the release from the chart, whatever an earlier, cut-off attempt
// left behind. It returns when the objects are created, not when they are
// ready. A deployed release is left alone: the error is then ErrDeployed.
//
// Helm can't be cancelled: when ctx ends during the work, Apply still finishes
// the step it is in, which takes seconds because it waits for nothing.
func (c *Client) Apply(ctx context.Context, name string, ch *Chart, values Values, opts ApplyOptions) (Info, error) {
	vals, err := plain(values)
	if err != nil {
		return Info{}, err
	}
	s, err := c.open()
	if err != nil {
		return Info{}, err
	}
	history, err := s.history(name)
	if err != nil {
		return Info{}, fmt.Errorf("read release %s: %w", name, err)
	}
	next := plan(history, opts.Upgrade)
	if next.do != install {
		last := history[len(history)-1]
		c.log.Debug("release exists", "release", name, "status", last.Info.Status.String(), "action", string(next.do))
	}
	if err := c.recover(ctx, s, name, next); err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, context.Cause(ctx)
	}
	switch next.do {
	case keep:
		return infoOf(name, history[len(history)-1]), ErrDeployed
	case install, reinstall:
		return c.install(ctx, name, ch, vals)
	default:
		if opts.Upgrade {
			return c.upgrade(ctx, name, ch, vals)
		}
		return c.Status(ctx, name)
	}
}

// move is what Apply has to do with what it finds.
type move string

const (
	install   move = "install"
	reinstall move = "uninstall and install"
	rollback  move = "roll back"
	upgrade   move = "upgrade"
	keep      move = "keep"
)

type decision struct {
	do move
	// to is the revision that a rollback goes back to.
	to int
}

// plan is the recovery table. A killed Helm leaves a release in a pending
// state, in which Helm itself refuses to do anything more.
func plan(history []*helm.Release, wantUpgrade bool) decision {
	if len(history) == 0 {
		return decision{do: install}
	}
	switch status := history[len(history)-1].Info.Status; {
	case status == helm.StatusDeployed && wantUpgrade:
		return decision{do: upgrade}
	case status == helm.StatusDeployed:
		return decision{do: keep}
	case status == helm.StatusUninstalling, status == helm.StatusUninstalled:
		return decision{do: reinstall}
	}
	// Cut off or failed: back to the last revision that was complete. A revision
	// stays "deployed" until the next one is.
	for _, good := range []helm.Status{helm.StatusDeployed, helm.StatusSuperseded} {
		for i := len(history) - 2; i >= 0; i-- {
			if history[i].Info.Status == good {
				return decision{do: rollback, to: history[i].Version}
			}
		}
	}
	return decision{do: reinstall}
}

// recover clears away what a cut-off attempt left.
func (c *Client) recover(ctx context.Context, s *session, name string, d decision) error {
	if d.do == reinstall {
		return c.uninstall(ctx, s, name)
	}
	if d.do == rollback {
		act := action.NewRollback(s.helm)
		act.Version = d.to
		act.Timeout = hookTimeout
		act.MaxHistory = keptRevisions
		if err := act.Run(name); err != nil {
			return fmt.Errorf("roll release %s back to revision %d: %w", name, d.to, err)
		}
	}
	return nil
}

func (c *Client) install(ctx context.Context, name string, ch *Chart, values Values) (Info, error) {
	s, err := c.open()
	if err != nil {
		return Info{}, err
	}
	fresh, err := ch.fresh()
	if err != nil {
		return Info{}, err
	}
	act := action.NewInstall(s.helm)
	act.ReleaseName = name
	act.Namespace = c.namespace
	act.Timeout = hookTimeout
	// Our charts are validated by tests; asking the server for its schema costs
	// seconds and much memory.
	act.DisableOpenAPIValidation = true
	r, err := act.RunWithContext(context.WithoutCancel(ctx), fresh, values)
	if err != nil {
		return Info{}, fmt.Errorf("install release %s: %w", name, err)
	}
	return infoOf(name, r), nil
}

func (c *Client) upgrade(ctx context.Context, name string, ch *Chart, values Values) (Info, error) {
	s, err := c.open()
	if err != nil {
		return Info{}, err
	}
	fresh, err := ch.fresh()
	if err != nil {
		return Info{}, err
	}
	act := action.NewUpgrade(s.helm)
	act.Namespace = c.namespace
	act.Timeout = hookTimeout
	act.MaxHistory = keptRevisions
	act.ResetValues = true
	act.DisableOpenAPIValidation = true
	r, err := act.RunWithContext(context.WithoutCancel(ctx), name, fresh, values)
	if err != nil {
		return Info{}, fmt.Errorf("upgrade release %s: %w", name, err)
	}
	return infoOf(name, r), nil
}

// Remove uninstalls the release and returns when its objects and their pods are
// gone. There being no release is no error.
func (c *Client) Remove(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	last, err := s.last(name)
	if err != nil {
		return fmt.Errorf("read release %s: %w", name, err)
	}
	if last == nil {
		return nil
	}
	return c.uninstall(ctx, s, name)
}

// uninstall removes every revision and waits until the objects are gone. An
// install that met a volume in deletion would adopt it, and then lose it.
func (c *Client) uninstall(ctx context.Context, s *session, name string) error {
	last, err := s.last(name)
	if err != nil {
		return fmt.Errorf("read release %s: %w", name, err)
	}
	act := action.NewUninstall(s.helm)
	act.Timeout = hookTimeout
	act.DeletionPropagation = "foreground" // an owner stays until its pods are gone
	// The namespace may be on its way out too, and take Helm's record first.
	if _, err := act.Run(name); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return fmt.Errorf("uninstall release %s: %w", name, err)
	}
	objects, err := parse(last.Manifest, c.namespace)
	if err != nil {
		return fmt.Errorf("uninstall release %s: %w", name, err)
	}
	for _, o := range objects {
		if err := s.gone(ctx, o); err != nil {
			return fmt.Errorf("wait for the end of %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}

// gone returns when the object does not exist any more.
func (s *session) gone(ctx context.Context, o Object) error {
	ticker := time.NewTicker(goneInterval)
	defer ticker.Stop()
	for {
		there, err := s.exists(ctx, o)
		if err != nil || !there {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// history gives all revisions, oldest first; none when there is no release.
func (s *session) history(name string) ([]*helm.Release, error) {
	history, err := s.helm.Releases.History(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	releaseutil.SortByRevision(history)
	return history, err
}
