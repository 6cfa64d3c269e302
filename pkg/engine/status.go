package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/release"
	"labctl.dev/labctl/pkg/ui"
)

// Status tells where one lab stands, or every lab when name is empty.
func (e *Engine) Status(ctx context.Context, name string, flags Target) (*Status, error) {
	if name != "" {
		return e.statusOf(ctx, name, flags)
	}
	res := &Status{Labs: []LabStatus{}}
	st, err := e.clusterState(ctx)
	if err != nil {
		return nil, err
	}
	res.Cluster = string(st.Phase)
	if st.Phase == cluster.Running {
		client, err := e.connect(ctx, Target{})
		if err != nil {
			return nil, err
		}
		labs, err := client.ListNamespaces(ctx, labelLab)
		if err != nil {
			return nil, clierr.Wrap(err, "ask the cluster for its labs", "labctl up <lab> mends a cluster that does not answer")
		}
		for _, ns := range labs {
			l, err := e.labStatus(ctx, client, ns.Labels[labelLab], Target{})
			if err != nil {
				return nil, err
			}
			res.Labs = append(res.Labs, *l)
		}
	}
	remembered, err := e.State.Targets()
	if err != nil {
		return nil, err
	}
	for lab, t := range remembered {
		target := Target{Kubeconfig: t.Kubeconfig, Context: t.Context, Registry: t.Registry}
		l := &LabStatus{Lab: lab, Target: target.String(), Namespace: Namespace(lab)}
		client, err := e.connect(ctx, target)
		if err == nil {
			l, err = e.labStatus(ctx, client, lab, target)
		}
		if err != nil {
			l = &LabStatus{Lab: lab, Target: target.String(), Namespace: Namespace(lab), State: "unreachable", Reason: err.Error(), Workloads: []kube.WorkloadStatus{}, Endpoints: []Endpoint{}}
		}
		res.Labs = append(res.Labs, *l)
	}
	slices.SortFunc(res.Labs, func(a, b LabStatus) int { return cmp.Compare(a.Lab, b.Lab) })
	return res, nil
}

func (e *Engine) statusOf(ctx context.Context, name string, flags Target) (*Status, error) {
	if err := e.known(name); err != nil {
		return nil, err
	}
	target, err := e.target(name, flags)
	if err != nil {
		return nil, err
	}
	res := &Status{}
	if !target.Existing() {
		st, err := e.clusterState(ctx)
		if err != nil {
			return nil, err
		}
		res.Cluster = string(st.Phase)
		if st.Phase != cluster.Running {
			return nil, e.notUp(name, st)
		}
	}
	client, err := e.connect(ctx, target)
	if err != nil {
		return nil, err
	}
	l, err := e.labStatus(ctx, client, name, target)
	if err != nil {
		return nil, err
	}
	res.Labs = []LabStatus{*l}
	return res, nil
}

// notUp is the error for a lab on a local cluster that does not run.
func (e *Engine) notUp(lab string, st cluster.State) error {
	switch st.Phase {
	case cluster.Stopped:
		return clierr.New("labctl resume", "the local cluster is stopped")
	case cluster.Foreign:
		return e.foreign(st)
	default:
		return clierr.New("labctl up "+lab, "%s is not up", lab)
	}
}

// labStatus reads the state of one lab from its cluster.
func (e *Engine) labStatus(ctx context.Context, client *kube.Client, lab string, t Target) (*LabStatus, error) {
	l := &LabStatus{Lab: lab, Target: t.String(), Namespace: Namespace(lab), Endpoints: []Endpoint{}}
	ns, err := client.Namespace(ctx, l.Namespace)
	if err != nil {
		return nil, err
	}
	if ns == nil {
		return nil, clierr.New("labctl up "+lab, "%s is not up on %s", lab, t)
	}
	rel := e.releases(client, l.Namespace)
	info, err := rel.Status(ctx, lab)
	if err != nil {
		return nil, err
	}
	l.Release = string(info.Status)
	objects, err := rel.Objects(ctx, lab)
	if err != nil {
		return nil, err
	}
	if l.Workloads, err = client.Snapshot(ctx, l.Namespace, objects); err != nil {
		return nil, err
	}
	if entry, err := e.Catalog.Get(lab); err == nil {
		l.Endpoints = endpoints(entry)
		if ch, err := release.Load(e.Charts, entry.FS, "chart"); err == nil {
			l.Newer = info.ChartDigest != "" && info.ChartDigest != ch.Digest
		}
	}
	l.State = labState(info, ns.Annotations[annotationReady] != "", l.Workloads)
	if since := ns.Annotations[annotationReset]; since != "" {
		l.State, l.Reason = "resetting", fmt.Sprintf("since %s; if no labctl is at work on it, labctl reset %s goes on", since, lab)
	}
	return l, nil
}

// labState gives one word for a lab.
func labState(info release.Info, wasReady bool, rows []kube.WorkloadStatus) string {
	allReady := !slices.ContainsFunc(rows, func(w kube.WorkloadStatus) bool { return !w.Ready })
	switch {
	case info.Status == release.StatusFailed:
		return "failed"
	case info.Status == release.StatusUninstalling:
		return "going"
	case info.Status != release.StatusDeployed:
		return "installing"
	case allReady:
		return "ready"
	case !wasReady:
		return "starting"
	default:
		return "not ready"
	}
}

// Pause stops the local cluster. Its labs keep their state.
func (e *Engine) Pause(ctx context.Context, sink ui.Sink) error {
	return e.power(ctx, sink, "labctl pause", func(ctx context.Context, r *runner, st cluster.State) error {
		return r.run(ctx, step{
			id: "cluster", title: "Cluster",
			done: func(context.Context) (bool, string, error) {
				return st.Phase == cluster.Stopped, "is stopped already", nil
			},
			run: func(ctx context.Context, rep reporter) (string, error) {
				rep.update("stopping")
				return "stopped", e.Cluster.Stop(ctx, e.ClusterName)
			},
		})
	})
}

// Resume starts the local cluster and waits until its labs answer again.
func (e *Engine) Resume(ctx context.Context, sink ui.Sink) error {
	return e.power(ctx, sink, "labctl resume", func(ctx context.Context, r *runner, st cluster.State) error {
		if err := r.series(ctx,
			step{id: "cache", title: "Image cache", run: func(ctx context.Context, rep reporter) (string, error) {
				return "", e.startCache(ctx, rep)
			}},
			step{
				id: "cluster", title: "Cluster",
				done: func(context.Context) (bool, string, error) {
					return st.Phase == cluster.Running, "runs already", nil
				},
				run: func(ctx context.Context, rep reporter) (string, error) {
					rep.update("starting")
					return "started", e.start(ctx)
				},
			}); err != nil {
			return err
		}
		client, err := e.connect(ctx, Target{})
		if err != nil {
			return err
		}
		labs, err := client.ListNamespaces(ctx, labelLab)
		if err != nil {
			return err
		}
		for _, ns := range labs {
			if err := r.run(ctx, e.recoverStep(client, ns)); err != nil {
				return err
			}
		}
		return nil
	})
}

// recoverStep waits until the workloads of a lab run again. What was not ready
// before the pause, by the learner's doing, does not count as trouble.
func (e *Engine) recoverStep(client *kube.Client, ns corev1.Namespace) step {
	lab := ns.Labels[labelLab]
	return step{id: "ready-" + lab, title: "Lab " + lab, run: func(ctx context.Context, r reporter) (string, error) {
		objects, err := e.releases(client, ns.Name).Objects(ctx, lab)
		if err != nil {
			return "", err
		}
		err = client.WaitReady(ctx, ns.Name, objects, func(w kube.WorkloadStatus) { r.row(workloadRow(w)) })
		if err != nil && context.Cause(ctx) == nil {
			r.sink.Emit(ui.Event{Kind: ui.Warn, Text: lab + ": " + err.Error()})
			return "not all ready; labctl status " + lab, nil
		}
		return "ready", err
	}}
}

// power runs an operation on the local cluster under its lock.
func (e *Engine) power(ctx context.Context, sink ui.Sink, command string, do func(context.Context, *runner, cluster.State) error) error {
	unlock, err := e.lock(ctx, Target{}, command, sink)
	if err != nil {
		return err
	}
	defer unlock()
	st, err := e.clusterState(ctx)
	if err != nil {
		return err
	}
	switch st.Phase {
	case cluster.Running, cluster.Stopped:
		return do(ctx, newRunner(sink), st)
	case cluster.Foreign:
		return e.foreign(st)
	case cluster.Partial:
		return clierr.New("labctl up <lab> makes it afresh, labctl down --all removes it", "the local cluster is half made: %s", st.Why)
	default:
		return clierr.New("labctl up <lab>", "there is no local cluster")
	}
}
