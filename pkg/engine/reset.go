package engine

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/release"
	"labctl.dev/labctl/pkg/restore"
	"labctl.dev/labctl/pkg/ui"
)

// Reset brings a lab back to how it was when it had just come up, in place. A
// reset that was cut off is gone on with; so does `up`.
func (e *Engine) Reset(ctx context.Context, o ResetOptions, sink ui.Sink) (*ResetResult, error) {
	p, err := e.plan(ctx, o.Lab, o.Target)
	if err != nil {
		return nil, err
	}
	unlock, err := e.lock(ctx, p.target, "labctl reset "+o.Lab, sink)
	if err != nil {
		return nil, err
	}
	defer unlock()
	client, ns, newer, err := e.resettable(ctx, p)
	if err != nil {
		return nil, err
	}
	r := newRunner(sink)
	res := &ResetResult{
		Lab: p.name, Target: p.target.String(), Removed: []string{}, Restored: []string{},
		Resumed: ns.Annotations[annotationReset] != "", Upgraded: newer,
	}
	if err := e.markReset(ctx, client, ns); err != nil {
		return nil, err
	}
	if newer {
		if err := e.renew(ctx, r, p); err != nil {
			return nil, err
		}
	}
	if err := r.series(ctx, e.restoreSteps(p, client, res)...); err != nil {
		return nil, err
	}
	res.Steps = r.timings.all()
	return res, nil
}

// resettable looks whether the lab is up, and whether the binary carries a
// newer chart.
func (e *Engine) resettable(ctx context.Context, p *installation) (*kube.Client, *corev1.Namespace, bool, error) {
	if !p.target.Existing() {
		st, err := e.clusterState(ctx)
		if err != nil {
			return nil, nil, false, err
		}
		if st.Phase != cluster.Running {
			return nil, nil, false, e.notUp(p.name, st)
		}
	}
	client, err := e.connect(ctx, p.target)
	if err != nil {
		return nil, nil, false, err
	}
	ns, err := client.Namespace(ctx, p.namespace)
	if err != nil {
		return nil, nil, false, err
	}
	if ns == nil {
		return nil, nil, false, clierr.New("labctl up "+p.name, "%s is not up on %s", p.name, p.target)
	}
	info, err := e.releases(client, p.namespace).Status(ctx, p.name)
	if err != nil {
		return nil, nil, false, err
	}
	half := ns.Annotations[annotationReset] != ""
	if !half && (info.Status != release.StatusDeployed || ns.Annotations[annotationReady] == "") {
		return nil, nil, false, clierr.New("labctl up "+p.name+" brings it up to the end", "%s has never been ready, so there is nothing to go back to", p.name)
	}
	newer := info.Status != release.StatusDeployed || info.ChartDigest != "" && info.ChartDigest != p.chart.Digest
	if p.target.Existing() {
		if err := client.Require(ctx, kube.LabRights(p.namespace, false)); err != nil {
			return nil, nil, false, err
		}
	}
	return client, ns, newer, nil
}

// markReset notes on the namespace that the lab is being reset.
func (e *Engine) markReset(ctx context.Context, client *kube.Client, ns *corev1.Namespace) error {
	if ns.Annotations[annotationReset] != "" {
		return nil
	}
	return client.AnnotateNamespace(ctx, ns.Name, map[string]string{annotationReset: time.Now().UTC().Format(time.RFC3339)})
}

// halfReset tells whether a reset of the lab was cut off.
func (e *Engine) halfReset(ctx context.Context, p *installation, client *kube.Client) (bool, error) {
	ns, err := client.Namespace(ctx, p.namespace)
	return ns != nil && ns.Annotations[annotationReset] != "", err
}

// renew installs the binary's chart over the one that is installed.
func (e *Engine) renew(ctx context.Context, r *runner, p *installation) error {
	var s *site
	var err error
	if p.target.Existing() {
		s, err = e.prepareExisting(ctx, r, p)
	} else {
		s, err = e.prepareLocal(ctx, r, p, nil)
	}
	if err != nil {
		return err
	}
	return r.run(ctx, step{id: "upgrade", title: "Newer version of the lab", run: func(ctx context.Context, rep reporter) (string, error) {
		rep.update("changing objects")
		releases := e.releases(s.client, p.namespace)
		manifests, err := releases.Installed(ctx, p.name)
		if err != nil {
			return "", err
		}
		objects, err := s.client.Objects(p.namespace)
		if err != nil {
			return "", err
		}
		if err := restore.New(objects, manifests, false).Rewind(ctx); err != nil {
			return "", clierr.Wrap(err, "restore the objects of "+p.name, fmt.Sprintf("labctl down %s, then labctl up %s", p.name, p.name))
		}
		_, err = releases.Apply(ctx, p.name, p.chart, imageValues(s.refs), release.ApplyOptions{Upgrade: true})
		return "installed", clierr.Wrap(err, "upgrade "+p.name, fmt.Sprintf("labctl down %s, then labctl up %s", p.name, p.name))
	}})
}

// restoration is a reset under way.
type restoration struct {
	engine *Engine
	p      *installation
	client *kube.Client
	res    *ResetResult
	// Both are there once the first step has run.
	restorer *restore.Restorer
	objects  []release.Object
}

// restoreSteps bring a lab's objects, data and pods back. What they change is
// noted in res.
func (e *Engine) restoreSteps(p *installation, client *kube.Client, res *ResetResult) []step {
	x := &restoration{engine: e, p: p, client: client, res: res}
	return []step{
		{id: "clean", title: "Objects that are not the lab's", run: x.clean},
		{id: "restore", title: "Objects of the lab", run: x.restore},
		{id: "seed", title: "Data", run: x.seed},
		{id: "restart", title: "Workloads", run: x.restart},
	}
}

func (x *restoration) clean(ctx context.Context, r reporter) (string, error) {
	manifests, err := x.engine.releases(x.client, x.p.namespace).Installed(ctx, x.p.name)
	if err != nil {
		return "", err
	}
	if len(manifests) == 0 {
		return "", clierr.New(fmt.Sprintf("labctl down %s, then labctl up %s", x.p.name, x.p.name), "the record of the release is gone from namespace %s", x.p.namespace)
	}
	objects, err := x.client.Objects(x.p.namespace)
	if err != nil {
		return "", err
	}
	// What a cut-off reset or Helm's upgrade has changed is not known here.
	x.objects, x.restorer = manifests, restore.New(objects, manifests, x.res.Resumed || x.res.Upgraded)
	removed, err := x.restorer.Clean(ctx, r.update)
	x.res.Removed = append(x.res.Removed, removed...)
	return fmt.Sprintf("%d removed", len(removed)), clierr.Wrap(err, "remove what is not of the lab", x.again())
}

func (x *restoration) restore(ctx context.Context, _ reporter) (string, error) {
	restored, err := x.restorer.Objects(ctx)
	x.res.Restored = append(x.res.Restored, restored...)
	return fmt.Sprintf("%d of %d restored", len(restored), len(x.objects)), clierr.Wrap(err, "restore the objects of "+x.p.name, x.again())
}

func (x *restoration) seed(ctx context.Context, r reporter) (string, error) {
	if err := x.restorer.Seed(ctx); err != nil {
		return "", clierr.Wrap(err, "seed "+x.p.name, x.again())
	}
	return "as on the first day", x.wait(ctx, r, x.restorer.Early())
}

func (x *restoration) restart(ctx context.Context, r reporter) (string, error) {
	restored, err := x.restorer.Late(ctx)
	x.res.Restored = append(x.res.Restored, restored...)
	if err != nil {
		return "", clierr.Wrap(err, "restart workloads", x.again())
	}
	if err := x.wait(ctx, r, x.objects); err != nil {
		return "", err
	}
	stamp := map[string]string{annotationReady: time.Now().UTC().Format(time.RFC3339), annotationReset: ""}
	return "all ready", x.client.AnnotateNamespace(ctx, x.p.namespace, stamp)
}

// restartedEvery is the time between two looks at pods that restart.
const restartedEvery = 250 * time.Millisecond

// wait waits until workloads are ready, and those whose pods were restarted are
// so with new pods.
func (x *restoration) wait(ctx context.Context, r reporter, objects []release.Object) error {
	tick := time.NewTicker(restartedEvery)
	defer tick.Stop()
	for {
		if err := x.client.WaitReady(ctx, x.p.namespace, objects, func(w kube.WorkloadStatus) { r.row(workloadRow(w)) }); err != nil {
			if context.Cause(ctx) != nil {
				return clierr.Wrap(err, "reset "+x.p.name, x.again())
			}
			return x.p.stuck(err)
		}
		done, err := x.restorer.Restarted(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (x *restoration) again() string { return "labctl reset " + x.p.name + " goes on where it stopped" }
