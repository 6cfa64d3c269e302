package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/ui"
)

// Down removes one lab, or everything. Nothing to remove is no error, so that
// it can be repeated after a crash.
func (e *Engine) Down(ctx context.Context, o DownOptions, sink ui.Sink) (*DownResult, error) {
	r := newRunner(sink)
	res := &DownResult{Labs: []string{}, Removed: []string{}}
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
	switch {
	case o.Forget:
		res.Removed = append(res.Removed, fmt.Sprintf("the memory of %s on %s", o.Lab, target))
		return e.forget(o.Lab)
	case target.Existing():
		return e.downExisting(ctx, r, o.Lab, target, res)
	default:
		return e.downLocal(ctx, r, o, res)
	}
}

// downExisting removes a lab from a cluster that is not ours.
func (e *Engine) downExisting(ctx context.Context, r *runner, lab string, t Target, res *DownResult) error {
	client, err := e.connect(ctx, t)
	if err == nil {
		err = r.run(ctx, e.removeStep(client, lab, res))
	}
	if err != nil {
		return clierr.Wrap(err, fmt.Sprintf("remove %s from %s", lab, t), fmt.Sprintf("labctl down %s once the cluster answers again;\nif it is gone for good: labctl down %s --forget", lab, lab))
	}
	return e.forget(lab)
}

// forget drops what this machine knows of a lab: where it is, and the
// kubeconfigs that lead to it.
func (e *Engine) forget(lab string) error {
	merged, err := e.State.Merged()
	if err != nil {
		return err
	}
	for _, m := range merged {
		if m.Lab != lab {
			continue
		}
		if err := kube.UnmergeKubeconfig(m.File, m.Context); err != nil {
			return clierr.Wrap(err, "take context "+m.Context+" out of "+m.File, "correct the file and run the same command again")
		}
	}
	return errors.Join(e.State.ForgetMerged(lab), e.State.ForgetCluster(labKubeconfig(lab)), e.State.ForgetTarget(lab))
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
	st, err := e.clusterState(ctx)
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
		return e.removeCluster(ctx, r, nil, res)
	case cluster.Stopped:
		if err := r.run(ctx, step{id: "start", title: "Cluster", run: func(ctx context.Context, _ reporter) (string, error) {
			return "started, to remove the lab", e.start(ctx)
		}}); err != nil {
			return clierr.Wrap(err, "start the cluster", "labctl down --all removes it with all its labs")
		}
	case cluster.Running:
	}
	client, err := e.connect(ctx, Target{})
	if err != nil {
		return err
	}
	labs, err := labsOn(ctx, client)
	if err != nil {
		return clierr.Wrap(err, "ask the cluster for its labs", "labctl down --all removes the cluster with all its labs")
	}
	others := slices.ContainsFunc(labs, func(lab string) bool { return lab != o.Lab })
	if !others && !o.KeepCluster {
		// Deleting the node takes the lab along, in a tenth of the time.
		return e.removeCluster(ctx, r, labs, res)
	}
	return r.run(ctx, e.removeStep(client, o.Lab, res))
}

// labsOn gives the labs of a cluster, sorted.
func labsOn(ctx context.Context, client *kube.Client) ([]string, error) {
	namespaces, err := client.ListNamespaces(ctx, labelLab)
	if err != nil {
		return nil, err
	}
	labs := make([]string, 0, len(namespaces))
	for _, ns := range namespaces {
		labs = append(labs, ns.Labels[labelLab])
	}
	slices.Sort(labs)
	return labs, nil
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
			if err := e.forget(lab); err != nil {
				return "", err
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

// removeCluster removes the kind cluster, with the labs that are on it and all
// that belongs to it but the image cache.
func (e *Engine) removeCluster(ctx context.Context, r *runner, labs []string, res *DownResult) error {
	return r.run(ctx, step{id: "cluster", title: "Cluster", run: func(ctx context.Context, rep reporter) (string, error) {
		rep.update("removing")
		if err := e.Cluster.Delete(ctx, e.ClusterName); err != nil {
			return "", err
		}
		for _, lab := range labs {
			res.Labs = append(res.Labs, lab)
			res.Removed = append(res.Removed, "lab "+lab)
		}
		res.Removed = append(res.Removed, "kind cluster "+e.ClusterName)
		if err := e.forgetLocal(); err != nil {
			return "", err
		}
		return "removed", e.tidy(ctx)
	}})
}

// tidy removes what is left of a cluster that is gone: its kubeconfig, and the
// network when nobody is on it. The cache leaves the network first.
func (e *Engine) tidy(ctx context.Context) error {
	if err := e.State.ForgetCluster(e.ClusterName); err != nil {
		return err
	}
	users, err := e.Cluster.RemoveNetwork(ctx, NetworkName)
	if err != nil || !onlyCache(users) {
		return err
	}
	if err := e.Images.Container().Leave(ctx, NetworkName); err != nil {
		return err
	}
	_, err = e.Cluster.RemoveNetwork(ctx, NetworkName)
	return err
}

// onlyCache tells whether nobody but the image cache is left on the network; a
// cluster by another name may still need both.
func onlyCache(users []string) bool { return len(users) == 1 && users[0] == cache.Name }

// forgetLocal drops the kubeconfigs of all labs of the local cluster.
func (e *Engine) forgetLocal() error {
	labs, err := e.Catalog.Names()
	if err != nil {
		return err
	}
	for _, lab := range labs {
		_, remembered, err := e.State.Target(lab)
		if err == nil && !remembered {
			err = e.forget(lab)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// downAll removes every lab on every target, the cluster, and on demand the
// image cache and the state.
func (e *Engine) downAll(ctx context.Context, r *runner, o DownOptions, res *DownResult) error {
	unlock, err := e.lock(ctx, Target{}, "labctl down --all", r.sink)
	if err != nil {
		return err
	}
	defer unlock()
	// A cluster that can't be reached does not stop the rest.
	unreached := e.downRemembered(ctx, r, o, res)
	if err := e.downCluster(ctx, r, o, res); err != nil {
		return errors.Join(unreached, err)
	}
	if !o.Purge {
		return unreached
	}
	return errors.Join(unreached, e.purge(ctx, r, res))
}

// downCluster removes the local cluster, or all its labs.
func (e *Engine) downCluster(ctx context.Context, r *runner, o DownOptions, res *DownResult) error {
	st, err := e.clusterState(ctx)
	if err != nil {
		return err
	}
	switch {
	case st.Phase == cluster.Foreign:
		res.Kept = append(res.Kept, fmt.Sprintf("kind cluster %s (%s)", e.ClusterName, st.Why))
	case st.Phase != cluster.Absent && !o.KeepCluster:
		return e.removeCluster(ctx, r, e.lastLabs(ctx, st), res)
	case st.Phase != cluster.Absent:
		return e.downEvery(ctx, r, res)
	}
	return e.tidy(ctx)
}

// askTime bounds the question for the labs of a cluster that goes in any case.
const askTime = 5 * time.Second

// lastLabs names the labs that go with the local cluster. A cluster that is
// stopped or does not answer goes all the same; nobody can say then what was on
// it.
func (e *Engine) lastLabs(ctx context.Context, st cluster.State) []string {
	if st.Phase != cluster.Running {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	client, err := e.connect(ctx, Target{})
	if err != nil {
		e.Log.Debug("ask the cluster for its labs", "error", err)
		return nil
	}
	labs, err := labsOn(ctx, client)
	if err != nil {
		e.Log.Debug("ask the cluster for its labs", "error", err)
	}
	return labs
}

// purge removes the image cache, every image of ours and the state directory.
func (e *Engine) purge(ctx context.Context, r *runner, res *DownResult) error {
	users, err := e.Cluster.RemoveNetwork(ctx, NetworkName)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return clierr.New("remove those first", "the image cache is in use by %s", strings.Join(users, ", "))
	}
	return r.run(ctx, step{id: "purge", title: "Image cache and state", run: func(ctx context.Context, _ reporter) (string, error) {
		err := e.Images.Remove(ctx)
		if err != nil && !errors.Is(err, image.ErrInUse) {
			return "", err
		}
		if err != nil {
			res.Kept = append(res.Kept, err.Error())
		}
		res.Removed = append(res.Removed, "image cache", "images", "state directory")
		return "removed", e.State.Purge()
	}})
}

// downRemembered removes the labs that were put on existing clusters. With purge
// those that can't be reached are forgotten.
func (e *Engine) downRemembered(ctx context.Context, r *runner, o DownOptions, res *DownResult) error {
	targets, err := e.State.Targets()
	if err != nil {
		return err
	}
	var failed []error
	for _, lab := range slices.Sorted(maps.Keys(targets)) {
		t := Target{Kubeconfig: targets[lab].Kubeconfig, Context: targets[lab].Context}
		err := e.locked(ctx, t, "labctl down --all", r.sink, func() error { return e.downExisting(ctx, r, lab, t, res) })
		switch {
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil && o.Purge:
			res.Kept = append(res.Kept, fmt.Sprintf("lab %s on %s, which did not answer", lab, t))
		case err != nil:
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
	labs, err := labsOn(ctx, client)
	if err != nil {
		return err
	}
	for _, lab := range labs {
		if err := r.run(ctx, e.removeStep(client, lab, res)); err != nil {
			return err
		}
	}
	return nil
}
