package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/release"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

// Up brings a lab up. A lab that is up already is left as it is.
func (e *Engine) Up(ctx context.Context, o UpOptions, sink ui.Sink) (*UpResult, error) {
	p, err := e.plan(ctx, o.Lab, o.Target)
	if err != nil {
		return nil, err
	}
	unlock, err := e.lock(ctx, p.target, "labctl up "+o.Lab, sink)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// First of all, so that a later command finds what a cut-off one began.
	if err := e.remember(p); err != nil {
		return nil, err
	}

	r := newRunner(sink)
	res := &UpResult{
		Lab: p.name, Title: p.entry.Lab.Metadata.Title, Namespace: p.namespace, Target: p.target.String(),
		Endpoints: endpoints(p.entry), Next: p.entry.Lab.Next,
	}
	up, err := e.standing(ctx, p)
	if err != nil {
		return nil, err
	}
	if up != nil {
		res.NotReady, res.Newer, res.Steps = up.notReady, up.newer, r.timings.all()
		return res, nil
	}

	var site *site
	if p.target.Existing() {
		site, err = e.prepareExisting(ctx, r, p)
	} else {
		site, err = e.prepareLocal(ctx, r, p, o.Ignore)
	}
	if err != nil {
		return nil, err
	}
	if err := r.run(ctx, e.releaseStep(p, site)); err != nil {
		return nil, err
	}
	if res.Reset, err = e.halfReset(ctx, p, site.client); err != nil {
		return nil, err
	}
	last := []step{e.readyStep(p, site)}
	if res.Reset {
		last = e.restoreSteps(p, site.client, &ResetResult{Resumed: true})
	}
	if err := r.series(ctx, last...); err != nil {
		return nil, err
	}
	res.Changed, res.Steps = true, r.timings.all()
	return res, nil
}

// site is a cluster that is ready to take a lab: a client, and the image
// references that its nodes can pull.
type site struct {
	client *kube.Client
	refs   map[string]string // image name → reference
}

// standing is a lab that was up before.
type standing struct {
	notReady []kube.WorkloadStatus
	newer    bool
}

// standing looks whether the lab is up and was ready once. It is nil where
// there is something to do.
func (e *Engine) standing(ctx context.Context, p *installation) (*standing, error) {
	if !p.target.Existing() {
		st, err := e.clusterState(ctx)
		if err != nil || st.Phase != cluster.Running {
			return nil, err
		}
	}
	client, err := e.connect(ctx, p.target)
	if err != nil {
		return nil, err
	}
	ns, err := client.Namespace(ctx, p.namespace)
	if err != nil {
		if p.target.Existing() {
			return nil, err
		}
		// The local cluster may be coming up or broken; the cluster step sees to that.
		return nil, nil
	}
	if ns == nil || ns.Annotations[annotationReady] == "" || ns.Annotations[annotationReset] != "" {
		return nil, nil
	}
	rel := e.releases(client, p.namespace)
	info, err := rel.Status(ctx, p.name)
	if err != nil || info.Status != release.StatusDeployed {
		return nil, err
	}
	s := &standing{newer: info.ChartDigest != "" && info.ChartDigest != p.chart.Digest}
	objects, err := rel.Objects(ctx, p.name)
	if err != nil {
		return nil, err
	}
	rows, err := client.Snapshot(ctx, p.namespace, objects)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if !row.Ready {
			s.notReady = append(s.notReady, row)
		}
	}
	return s, nil
}

// releaseStep installs the chart. It is done when the release is deployed:
// upgrading it would undo what the learner changed.
func (e *Engine) releaseStep(p *installation, s *site) step {
	rel := e.releases(s.client, p.namespace)
	return step{
		id: "release", title: "Lab " + p.name,
		done: func(ctx context.Context) (bool, string, error) {
			info, err := rel.Status(ctx, p.name)
			return info.Status == release.StatusDeployed, "installed before", err
		},
		run: func(ctx context.Context, r reporter) (string, error) {
			if err := e.ensureNamespace(ctx, p, s.client); err != nil {
				return "", err
			}
			if err := e.warmVolumes(ctx, p, s.client); err != nil {
				return "", err
			}
			r.update("creating objects")
			_, err := rel.Apply(ctx, p.name, p.chart, imageValues(s.refs), release.ApplyOptions{})
			if err != nil && !errors.Is(err, release.ErrDeployed) {
				return "", clierr.Wrap(err, "install "+p.name, fmt.Sprintf("labctl down %s, then labctl up %s", p.name, p.name))
			}
			return "installed", nil
		},
	}
}

func (e *Engine) remember(p *installation) error {
	if !p.target.Existing() {
		return nil
	}
	t := p.target
	return e.State.SetTarget(p.name, state.Target{Kubeconfig: t.Kubeconfig, Context: t.Context, Registry: t.Registry})
}

// ensureNamespace makes the lab's namespace. One that somebody else made is
// used, but not marked as ours, so that `down` will not remove it.
func (e *Engine) ensureNamespace(ctx context.Context, p *installation, c *kube.Client) error {
	labels := map[string]string{
		labelLab: p.name, labelManagedBy: managedBy,
		"pod-security.kubernetes.io/enforce": "restricted",
	}
	_, err := c.EnsureNamespace(ctx, p.namespace, labels, map[string]string{annotationCreated: "true"})
	return clierr.Wrap(err, "make namespace "+p.namespace, "")
}

// warmVolumes makes the volumes that the lab will claim, on the local cluster.
func (e *Engine) warmVolumes(ctx context.Context, p *installation, c *kube.Client) error {
	if p.target.Existing() || p.claims == 0 {
		return nil
	}
	node := cluster.NodeName(e.ClusterName)
	return c.EnsureVolumes(ctx, node, p.claims, func(path string) error {
		_, err := e.Docker.Exec(ctx, node, "mkdir", "-p", "-m", "0777", path)
		return clierr.Wrap(err, "make a directory for a volume", "labctl doctor")
	})
}

// readyStep waits until the lab was ready for the first time.
func (e *Engine) readyStep(p *installation, s *site) step {
	return step{
		id: "ready", title: "Workloads",
		run: func(ctx context.Context, r reporter) (string, error) {
			objects, err := e.releases(s.client, p.namespace).Objects(ctx, p.name)
			if err != nil {
				return "", err
			}
			err = s.client.WaitReady(ctx, p.namespace, objects, func(w kube.WorkloadStatus) { r.row(workloadRow(w)) })
			if err != nil {
				return "", p.stuck(err)
			}
			stamp := map[string]string{annotationReady: time.Now().UTC().Format(time.RFC3339)}
			return "all ready", s.client.AnnotateNamespace(ctx, p.namespace, stamp)
		},
	}
}

// stuck adds to the error of a lab that does not become ready where to look.
func (p *installation) stuck(err error) error {
	look := fmt.Sprintf("labctl logs %s; labctl status %s\nkubectl uses the cluster after: export KUBECONFIG=$(labctl kubeconfig %s --path)", p.name, p.name, p.name)
	d := clierr.Describe(err)
	if d.Hint != "" {
		look = d.Hint + "\n" + look
	}
	return &clierr.Error{Op: "wait for " + p.name, Err: err, Hint: look, Detail: d.Detail, ID: d.ID}
}

// workloadRow turns the state of a workload into a line of progress.
func workloadRow(w kube.WorkloadStatus) ui.Event {
	e := ui.Event{Item: w.String(), State: ui.Working, Text: w.Message}
	switch {
	case w.Ready:
		e.State = ui.Ready
	case w.Failed:
		e.State = ui.Failed
	}
	return e
}
