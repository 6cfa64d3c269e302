package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/ui"
)

// prepareLocal makes the local kind cluster ready for the lab: images into the
// cache and cluster up, side by side, and images into the node as soon as both
// are there.
func (e *Engine) prepareLocal(ctx context.Context, r *runner, p *installation, ignore []string) (*site, error) {
	st, err := e.clusterState(ctx)
	if err != nil {
		return nil, err
	}
	if st.Phase == cluster.Foreign {
		return nil, e.foreign(st)
	}
	if err := r.series(ctx, e.preflightStep(p, st, ignore), e.baseStep(st)); err != nil {
		return nil, err
	}
	s := &site{}
	imagesReady, nodeReady := newGate(), newGate()
	err = r.together(ctx,
		step{id: "images", title: "Images", run: func(ctx context.Context, rep reporter) (string, error) {
			refs, err := e.Images.Ensure(ctx, p.images, rep)
			if err != nil {
				return "", err
			}
			s.refs = map[string]string{}
			for name, ref := range refs {
				s.refs[name] = ref.String()
			}
			imagesReady.open()
			return fmt.Sprintf("%d in the cache", len(refs)), nil
		}},
		e.clusterStep(st, nodeReady),
		step{id: "prefetch", title: "Images on the node", run: func(ctx context.Context, rep reporter) (string, error) {
			if err := waitAll(ctx, nodeReady, imagesReady); err != nil {
				return "", err
			}
			return e.prefetch(ctx, s.refs, rep)
		}},
	)
	if err != nil {
		return nil, err
	}
	s.client, err = e.connect(ctx, p.target)
	return s, err
}

func (e *Engine) foreign(st cluster.State) error {
	return &clierr.Error{
		Op:   "use the kind cluster " + e.ClusterName,
		Err:  fmt.Errorf("%w (%s)", cluster.ErrForeign, st.Why),
		Hint: fmt.Sprintf("if you don't need it: kind delete cluster --name %s\nor give labctl's cluster another name: LABCTL_CLUSTER=mylabs labctl up ...", e.ClusterName),
		ID:   "cluster-foreign",
	}
}

// preflightStep compares the machine with what the rendered chart asks for.
func (e *Engine) preflightStep(p *installation, st cluster.State, ignore []string) step {
	return step{
		id: "preflight", title: "Machine",
		run: func(ctx context.Context, r reporter) (string, error) {
			need, err := e.need(ctx, p, st)
			if err != nil {
				return "", err
			}
			return e.judge(e.Doctor.Check(ctx, need, ignore), r.sink)
		},
	}
}

// baseStep starts the image cache and gets the node's image, which the engine
// itself needs.
func (e *Engine) baseStep(st cluster.State) step {
	return step{
		id: "base", title: "Image cache",
		run: func(ctx context.Context, r reporter) (string, error) {
			if st.Phase == cluster.Absent || st.Phase == cluster.Partial {
				if _, err := e.Images.EngineImage(ctx, image.NodeImage, r); err != nil {
					return "", err
				}
			}
			return "", e.startCache(ctx, r)
		},
	}
}

// startCache makes the image cache run where nodes find it.
func (e *Engine) startCache(ctx context.Context, sink ui.Sink) error {
	if _, err := e.Images.EnsureCache(ctx, sink); err != nil {
		return err
	}
	if err := e.Cluster.EnsureNetwork(ctx, NetworkName); err != nil {
		return err
	}
	return e.Images.Container().Join(ctx, NetworkName)
}

// clusterStep makes, starts or mends the cluster, and opens the gate as soon as
// the node can pull images.
func (e *Engine) clusterStep(st cluster.State, nodeReady *gate) step {
	watch := func(ctx context.Context, spec cluster.Spec) error {
		if err := e.Cluster.WaitContainerd(ctx, spec); err != nil {
			return err
		}
		// containerd reads the file at each pull, so it needs no restart.
		node := cluster.NodeName(e.ClusterName)
		if err := e.Docker.WriteFile(ctx, node, cache.HostsPath, cache.HostsTOML(cache.Address)); err != nil {
			return err
		}
		nodeReady.open()
		return nil
	}
	return step{
		id: "cluster", title: "Cluster",
		run: func(ctx context.Context, r reporter) (note string, err error) {
			if st.Phase == cluster.Partial {
				r.update("removing a half-made cluster")
				if err := e.discard(ctx); err != nil {
					return "", err
				}
			}
			spec, err := e.clusterSpec(ctx, st)
			if err != nil {
				return "", err
			}
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return watch(ctx, spec) })
			group.Go(func() (err error) {
				note, err = e.bringUp(ctx, st, spec, r)
				return err
			})
			err = group.Wait()
			return note, err
		},
	}
}

// discardTime bounds the removal of a half-made cluster.
const discardTime = time.Minute

// discard removes a half-made cluster, to the end even when ctx does not last:
// half a removal would be worse than none.
func (e *Engine) discard(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTime)
	defer cancel()
	return errors.Join(e.Cluster.Delete(bounded, e.ClusterName), context.Cause(ctx))
}

// bringUp makes the cluster run.
func (e *Engine) bringUp(ctx context.Context, st cluster.State, spec cluster.Spec, r reporter) (string, error) {
	switch st.Phase {
	case cluster.Running:
		r.update("waiting for its API")
		return "runs", e.waitAPI(ctx)
	case cluster.Stopped:
		r.update("starting")
		return "started", e.start(ctx)
	default:
		return "created", e.Cluster.Create(ctx, spec, r.update)
	}
}

// clusterSpec says what the cluster is made of.
func (e *Engine) clusterSpec(ctx context.Context, st cluster.State) (cluster.Spec, error) {
	id, err := e.State.ClusterID()
	if err != nil {
		return cluster.Spec{}, err
	}
	spec := cluster.Spec{
		Name: e.ClusterName, IDDir: id.Dir, Network: NetworkName,
		Kubeconfig: e.State.KubeconfigPath(e.ClusterName),
		Logs:       func() (string, error) { return e.State.LogDir("cluster", time.Now()) },
	}
	if st.Phase == cluster.Stopped || st.Phase == cluster.Running {
		return spec, nil // it was set up when it was made, maybe by another release
	}
	if spec.Image, err = e.Images.EngineImage(ctx, image.NodeImage, ui.Discard()); err != nil {
		return cluster.Spec{}, err
	}
	if spec.Host, err = e.Cluster.Host(ctx, spec.Image); err != nil {
		return cluster.Spec{}, err
	}
	return spec, nil
}

// start starts a stopped cluster and waits until its API server answers. The
// port may have changed, so the kubeconfig is read anew.
func (e *Engine) start(ctx context.Context) error {
	if err := e.Cluster.Start(ctx, e.ClusterName); err != nil {
		return err
	}
	return e.waitAPI(ctx)
}

// waitAPI waits until the API server answers, and keeps the kubeconfig current.
func (e *Engine) waitAPI(ctx context.Context) error {
	raw, err := e.Cluster.Kubeconfig(ctx, e.ClusterName)
	if err != nil {
		return err
	}
	if err := e.State.WriteKubeconfig(e.ClusterName, raw); err != nil {
		return err
	}
	client, err := kube.New(raw, "", kube.WithLogger(e.Log))
	if err != nil {
		return err
	}
	return client.WaitAPI(ctx)
}

// prefetch pulls the images into the node while kubeadm still works.
func (e *Engine) prefetch(ctx context.Context, refs map[string]string, r reporter) (string, error) {
	var repair sync.Mutex
	node := cluster.NodeName(e.ClusterName)
	group, ctx := errgroup.WithContext(ctx)
	for name, ref := range refs {
		pull := func() error {
			r.row(ui.Event{Item: name, State: ui.Working, Text: "pulling"})
			return e.Cluster.PullOnNode(ctx, node, ref, func(msg string) {
				r.row(ui.Event{Item: name, State: ui.Working, Text: "pulling", Detail: msg})
			})
		}
		group.Go(func() error {
			err := pull()
			if err != nil && context.Cause(ctx) == nil {
				// Most likely bytes in the cache went bad; only reading all of them tells.
				repair.Lock()
				_, err = e.Images.Repair(ctx, []string{name}, r)
				repair.Unlock()
				if err == nil {
					err = pull()
				}
			}
			if err != nil {
				return clierr.Wrap(err, "pull "+name+" into the node", "labctl doctor; then the same command again")
			}
			r.row(ui.Event{Item: name, State: ui.Ready})
			return nil
		})
	}
	return "", group.Wait()
}

// gate is closed until something is there that others wait for.
type gate struct {
	once sync.Once
	ch   chan struct{}
}

func newGate() *gate { return &gate{ch: make(chan struct{})} }

func (g *gate) open() { g.once.Do(func() { close(g.ch) }) }

func waitAll(ctx context.Context, gates ...*gate) error {
	for _, g := range gates {
		select {
		case <-g.ch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
