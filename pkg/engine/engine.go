// Package engine brings labs up and down and answers what runs, as steps over
// kind, Helm, the image store and Kubernetes. It emits ui.Events and returns
// data; it prints nothing and knows no command line.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/release"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

// Deps are what an Engine works with.
type Deps struct {
	Catalog *catalog.Catalog
	Charts  fs.FS
	State   *state.Dir
	Docker  *docker.CLI
	Cluster *cluster.Manager
	Images  *image.Store
	Doctor  *doctor.Doctor
	Log     *slog.Logger
	// ClusterName is the kind cluster that holds all labs of this machine.
	ClusterName string
}

// Engine brings labs up and down.
type Engine struct{ Deps }

// New makes an Engine.
func New(d Deps) *Engine { return &Engine{Deps: d} }

// installation is one lab on its way to one cluster.
type installation struct {
	entry     catalog.Entry
	name      string
	namespace string
	target    Target
	chart     *release.Chart
	images    []string // names of image definitions
	claims    int      // volumes that the chart claims
}

// plan finds out what a lab consists of, without touching any cluster.
func (e *Engine) plan(ctx context.Context, name string, flags Target) (*installation, error) {
	entry, err := e.lookUp(name)
	if err != nil {
		return nil, err
	}
	target, err := e.target(name, flags)
	if err != nil {
		return nil, err
	}
	p := &installation{entry: entry, name: name, namespace: Namespace(name), target: target}
	p.chart, err = release.Load(e.Charts, entry.FS, "chart")
	if err != nil {
		return nil, clierr.Wrap(err, "load the chart of "+name, "")
	}
	m, err := p.render(ctx, e.Images.Names())
	if err != nil {
		return nil, err
	}
	for _, o := range m.Objects {
		if o.GetKind() == "PersistentVolumeClaim" {
			p.claims++
		}
	}
	for _, ref := range m.Images() {
		// Images that are not ours are for the nodes to find.
		if name, ours := strings.CutPrefix(ref, placeholder); ours {
			p.images = append(p.images, name)
		}
	}
	return p, nil
}

// placeholder is the registry in image references of a chart that is rendered
// only to be looked at.
const placeholder = "placeholder.labctl/"

// render renders the chart with references that tell the image's name.
func (p *installation) render(ctx context.Context, names []string) (release.Manifests, error) {
	refs := make(map[string]string, len(names))
	for _, n := range names {
		refs[n] = placeholder + n
	}
	m, err := release.Render(ctx, p.chart, release.RenderOptions{Release: p.name, Namespace: p.namespace, Values: imageValues(refs)})
	if err != nil {
		return m, clierr.Wrap(err, "render the chart of "+p.name, "")
	}
	return m, nil
}

// imageValues gives the chart values that name the images.
func imageValues(refs map[string]string) release.Values {
	images := make(map[string]any, len(refs))
	for name, ref := range refs {
		images[name] = ref
	}
	return release.Values{"global": map[string]any{"images": images}}
}

// Namespace is where a lab lives on a cluster of its learner.
func Namespace(lab string) string { return "lab-" + lab }

func (e *Engine) lookUp(name string) (catalog.Entry, error) {
	entry, err := e.Catalog.Get(name)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return entry, &clierr.Error{Err: err, Hint: "labctl list shows the labs", Code: clierr.CodeUsage, ID: "unknown-lab"}
	case err != nil:
		return entry, &clierr.Error{Err: err, Hint: "correct the lab's files", Code: clierr.CodeUsage, ID: "lab-invalid"}
	}
	return entry, nil
}

// target resolves which cluster is meant: a flag wins, then what is remembered
// for the lab, then the local kind cluster.
func (e *Engine) target(lab string, flags Target) (Target, error) {
	if flags.Existing() {
		return flags.pinned()
	}
	remembered, ok, err := e.State.Target(lab)
	if err != nil {
		return Target{}, err
	}
	t := Target{}
	if ok {
		t = Target{Kubeconfig: remembered.Kubeconfig, Context: remembered.Context, Registry: remembered.Registry}
	}
	if flags.Registry != "" {
		t.Registry = flags.Registry
	}
	if t.Registry != "" && !t.Existing() {
		return Target{}, clierr.Usage("give --kubeconfig or --context too; the local cluster always pulls from its own cache",
			"--registry is for existing clusters")
	}
	return t, nil
}

// lock makes sure that one labctl at a time changes a target.
func (e *Engine) lock(ctx context.Context, t Target, command string, sink ui.Sink) (func(), error) {
	name := "cluster-" + e.ClusterName
	if t.Existing() {
		name = "target-" + t.id()
	}
	unlock, err := e.State.Lock(ctx, name, command, func(h state.Holder) {
		sink.Emit(ui.Event{Kind: ui.Note, Text: fmt.Sprintf("Waiting for %s, which works on the same cluster.", h)})
	})
	return unlock, clierr.Wrap(err, "wait for the other labctl", "look for the process named above")
}

// locked runs f while no other labctl works on the target.
func (e *Engine) locked(ctx context.Context, t Target, command string, sink ui.Sink, f func() error) error {
	unlock, err := e.lock(ctx, t, command, sink)
	if err != nil {
		return err
	}
	defer unlock()
	return f()
}

// endpoints gives the doors of a lab with the commands that open them.
func endpoints(entry catalog.Entry) []Endpoint {
	list := make([]Endpoint, 0, len(entry.Lab.Endpoints))
	for _, ep := range entry.Lab.Endpoints {
		list = append(list, Endpoint{Name: ep.Name, Title: ep.Title, Command: fmt.Sprintf("labctl open %s %s", entry.Lab.Metadata.Name, ep.Name)})
	}
	return list
}

// connect gives a client for the target.
func (e *Engine) connect(ctx context.Context, t Target) (*kube.Client, error) {
	if t.Existing() {
		c, err := kube.NewFromFile(t.Kubeconfig, t.Context, kube.WithLogger(e.Log))
		return c, clierr.Wrap(err, "use "+t.String(), "check --kubeconfig and --context")
	}
	raw, err := e.Cluster.Kubeconfig(ctx, e.ClusterName)
	if err != nil {
		return nil, err
	}
	return kube.New(raw, "", kube.WithLogger(e.Log))
}

// clusterState tells where the local cluster stands. A cluster counts as
// somebody else's only when our own id can be read: with a state directory that
// is broken, nobody can say whose it is.
func (e *Engine) clusterState(ctx context.Context) (cluster.State, error) {
	st, err := e.Cluster.State(ctx, e.ClusterName)
	if err == nil && st.Phase == cluster.Foreign {
		_, err = e.State.ClusterID()
	}
	return st, err
}

// releases gives the Helm client of a lab's namespace.
func (e *Engine) releases(c *kube.Client, namespace string) *release.Client {
	return release.New(release.Config{RESTConfig: c.Config, Namespace: namespace, Log: e.Log})
}
