package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/ui"
)

// Down removes one lab, or everything. Nothing to remove is no error, so that
// it can be repeated after a crash.
func (e *Engine) Down(ctx context.Context, o DownOptions, sink ui.Sink) (*DownResult, error) {
	r := newRunner(sink)
	res := &DownResult{}
	var err error
	if o.All {
		err = e.downAll(ctx, r, o, res)
	} else {
		err = e.downLab(ctx, r, o, res)
	}
	res.Steps = r.timings.all()
	return res, err
}

func (e *Engine) downLab(ctx context.Context, r *runner, o DownOptions, res *DownResult) error {
	if err := e.known(o.Lab); err != nil {
		return err
	}
	target, err := e.target(o.Lab, o.Target)
	if err != nil {
		return err
	}
	unlock, err := e.lock(ctx, target, "labctl down "+o.Lab, r.sink)
	if err != nil {
		return err
	}
	defer unlock()
	if target.Existing() {
		client, err := e.connect(ctx, target)
		if err != nil {
			return err
		}
		if err := r.run(ctx, e.removeStep(client, o.Lab, res)); err != nil {
			return err
		}
		return e.State.ForgetTarget(o.Lab)
	}
	return e.downLocal(ctx, r, o, res)
}

// known refuses names of labs that never were: a lab that was renamed or taken
// out of the binary can still be removed, but only by a valid name.
func (e *Engine) known(name string) error {
	_, err := e.lookUp(name)
	if err == nil {
		return nil
	}
	if _, remembered, targetErr := e.State.Target(name); targetErr == nil && remembered {
		return nil
	}
	return err
}

// downLocal removes a lab from the local cluster, and the cluster with its last
// lab.
func (e *Engine) downLocal(ctx context.Context, r *runner, o DownOptions, res *DownResult) error {
	st, err := e.Cluster.State(ctx, e.ClusterName)
	if err != nil {
		return err
	}
	switch st.Phase {
	case cluster.Absent:
		return nil
	case cluster.Foreign:
		return e.foreign(st)
	case cluster.Partial:
		// It never held a lab that could be used.
		return e.removeCluster(ctx, r, res)
	case cluster.Stopped:
		if err := r.run(ctx, step{id: "start", title: "Cluster", run: func(ctx context.Context, _ reporter) (string, error) {
			return "started, to remove the lab", e.start(ctx)
		}}); err != nil {
			return err
		}
	}
	client, err := e.connect(ctx, Target{})
	if err != nil {
		return err
	}
	labs, err := client.ListNamespaces(ctx, labelLab)
	if err != nil {
		return err
	}
	ours := slices.DeleteFunc(labs, func(ns corev1.Namespace) bool { return ns.Labels[labelLab] == o.Lab })
	if len(ours) == 0 && !o.KeepCluster {
		// Deleting the node takes the lab along, in a tenth of the time.
		if len(labs) > 0 {
			res.Labs = append(res.Labs, o.Lab)
		}
		return e.removeCluster(ctx, r, res)
	}
	return r.run(ctx, e.removeStep(client, o.Lab, res))
}

// removeStep removes the release and, where `up` made it, the namespace.
func (e *Engine) removeStep(client *kube.Client, lab string, res *DownResult) step {
	return step{
		id: "remove-" + lab, title: "Lab " + lab,
		run: func(ctx context.Context, r reporter) (string, error) {
			name := Namespace(lab)
			ns, err := client.Namespace(ctx, name)
			if err != nil || ns == nil {
				return "was not there", err
			}
			made := ns.Annotations[annotationCreated] == "true"
			if err := e.removeLab(ctx, client, lab, made, r); err != nil {
				return "", clierr.Wrap(err, "remove "+lab, "run the same command again")
			}
			res.Labs = append(res.Labs, lab)
			if made {
				res.Removed = append(res.Removed, "lab "+lab)
				return "removed", nil
			}
			res.Removed = append(res.Removed, "release "+lab)
			res.Kept = append(res.Kept, fmt.Sprintf("namespace %s (labctl did not make it)", name))
			return "removed", nil
		},
	}
}

// removeLab removes the release and, where we made it, the namespace. The
// namespace controller waits some seconds before it empties a namespace, so the
// release goes in that time.
func (e *Engine) removeLab(ctx context.Context, client *kube.Client, lab string, namespaceToo bool, r reporter) error {
	name := Namespace(lab)
	r.update("removing the release")
	group, ctx := errgroup.WithContext(ctx)
	if namespaceToo {
		group.Go(func() error { return client.DeleteNamespace(ctx, name, r.update) })
	}
	group.Go(func() error { return e.releases(client, name).Remove(ctx, lab) })
	return group.Wait()
}

// removeCluster removes the kind cluster with all that belongs to it but the
// image cache.
func (e *Engine) removeCluster(ctx context.Context, r *runner, res *DownResult) error {
	return r.run(ctx, step{id: "cluster", title: "Cluster", run: func(ctx context.Context, rep reporter) (string, error) {
		rep.update("removing")
		if err := e.Cluster.Delete(ctx, e.ClusterName); err != nil {
			return "", err
		}
		for _, lab := range res.Labs {
			res.Removed = append(res.Removed, "lab "+lab)
		}
		res.Removed = append(res.Removed, "kind cluster "+e.ClusterName)
		return "removed", e.tidy(ctx)
	}})
}

// tidy removes what is left of a cluster that is gone: its kubeconfig, and the
// network when nobody is on it. The cache leaves the network first.
func (e *Engine) tidy(ctx context.Context) error {
	if err := e.State.ForgetCluster(e.ClusterName); err != nil {
		return err
	}
	if err := e.Images.Container().Leave(ctx, NetworkName); err != nil {
		return err
	}
	_, err := e.Cluster.RemoveNetwork(ctx, NetworkName)
	return err
}

// downAll removes every lab on every target, the cluster, and on demand the
// image cache and the state.
func (e *Engine) downAll(ctx context.Context, r *runner, o DownOptions, res *DownResult) error {
	unlock, err := e.lock(ctx, Target{}, "labctl down --all", r.sink)
	if err != nil {
		return err
	}
	defer unlock()
	if err := e.downRemembered(ctx, r, res); err != nil {
		return err
	}
	st, err := e.Cluster.State(ctx, e.ClusterName)
	if err != nil {
		return err
	}
	switch {
	case st.Phase == cluster.Foreign:
		res.Kept = append(res.Kept, fmt.Sprintf("kind cluster %s (%s)", e.ClusterName, st.Why))
	case st.Phase != cluster.Absent && !o.KeepCluster:
		if err := e.removeCluster(ctx, r, res); err != nil {
			return err
		}
	case st.Phase != cluster.Absent:
		if err := e.downEvery(ctx, r, res); err != nil {
			return err
		}
	default:
		if err := e.tidy(ctx); err != nil {
			return err
		}
	}
	if !o.Purge {
		return nil
	}
	return r.run(ctx, step{id: "purge", title: "Image cache and state", run: func(ctx context.Context, _ reporter) (string, error) {
		if err := e.Images.Container().Remove(ctx); err != nil {
			return "", err
		}
		res.Removed = append(res.Removed, "image cache", "state directory")
		return "removed", e.State.Purge()
	}})
}

// downRemembered removes the labs that were put on existing clusters. A cluster
// that can't be reached does not stop the rest.
func (e *Engine) downRemembered(ctx context.Context, r *runner, res *DownResult) error {
	targets, err := e.State.Targets()
	if err != nil {
		return err
	}
	var failed []error
	for lab, remembered := range targets {
		t := Target{Kubeconfig: remembered.Kubeconfig, Context: remembered.Context}
		client, err := e.connect(ctx, t)
		if err == nil {
			err = r.run(ctx, e.removeStep(client, lab, res))
		}
		if err != nil {
			failed = append(failed, clierr.Wrap(err, fmt.Sprintf("remove %s from %s", lab, t), "labctl down "+lab+" once the cluster answers again"))
			continue
		}
		if err := e.State.ForgetTarget(lab); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// downEvery removes every lab of the local cluster and keeps the cluster.
func (e *Engine) downEvery(ctx context.Context, r *runner, res *DownResult) error {
	client, err := e.connect(ctx, Target{})
	if err != nil {
		return err
	}
	labs, err := client.ListNamespaces(ctx, labelLab)
	if err != nil {
		return err
	}
	for _, ns := range labs {
		if err := r.run(ctx, e.removeStep(client, ns.Labels[labelLab], res)); err != nil {
			return err
		}
	}
	return nil
}
