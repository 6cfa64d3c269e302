package engine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
)

// OpenOptions say which endpoint to open, and what to do once it answers.
type OpenOptions struct {
	Lab      string
	Endpoint string // empty: the lab's first
	Port     int    // local port; 0: a free one
	Target   Target
	// Ready is called once, when the local port accepts connections.
	Ready func(ep Endpoint, url string) error
	// Note is told about lost and new connections.
	Note func(text string)
}

// ShellOptions say what to run in a lab's workbench.
type ShellOptions struct {
	Lab         string
	Argv        []string // empty: a shell
	Target      Target
	TTY         bool
	In          io.Reader
	Out, ErrOut io.Writer
}

// LogsOptions say whose logs to print.
type LogsOptions struct {
	Lab       string
	Component string // empty: all
	Target    Target
	Follow    bool
	Tail      int64 // lines per container; negative: all
	Out       io.Writer
}

// Kubeconfig is a private file with a lab's cluster and namespace.
type Kubeconfig struct {
	File    string
	Content []byte
}

// Merged says where a lab's context was added.
type Merged struct {
	Context string
	File    string
}

// session is a lab that is up, and a client for its cluster.
type session struct {
	lab       *lab.Lab
	namespace string
	client    *kube.Client
}

// join finds a lab that is up.
func (e *Engine) join(ctx context.Context, name string, flags Target) (*session, error) {
	entry, err := e.lookUp(name)
	if err != nil {
		return nil, err
	}
	target, err := e.target(name, flags)
	if err != nil {
		return nil, err
	}
	if !target.Existing() {
		st, err := e.Cluster.State(ctx, e.ClusterName)
		if err != nil {
			return nil, err
		}
		if st.Phase != cluster.Running {
			return nil, e.notUp(name, st)
		}
	}
	client, err := e.connect(ctx, target)
	if err != nil {
		return nil, err
	}
	s := &session{lab: entry.Lab, namespace: Namespace(name), client: client}
	ns, err := client.Namespace(ctx, s.namespace)
	if err != nil {
		return nil, err
	}
	if ns == nil {
		return nil, clierr.New("labctl up "+name, "%s is not up on %s", name, target)
	}
	return s, nil
}

// Open forwards a local port to an endpoint until ctx ends.
func (e *Engine) Open(ctx context.Context, o OpenOptions) error {
	entry, err := e.lookUp(o.Lab)
	if err != nil {
		return err
	}
	ep, err := pickEndpoint(entry.Lab, o.Endpoint)
	if err != nil {
		return err
	}
	s, err := e.join(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	return s.client.PortForward(ctx, kube.ForwardOptions{
		Namespace: s.namespace, Service: ep.Service, RemotePort: ep.Port, LocalPort: o.Port, Note: o.Note,
		Ready: func(port int) error {
			return o.Ready(Endpoint{Name: ep.Name, Title: ep.Title}, fmt.Sprintf("http://127.0.0.1:%d%s", port, ep.Path))
		},
	})
}

func pickEndpoint(l *lab.Lab, name string) (lab.Endpoint, error) {
	names := make([]string, 0, len(l.Endpoints))
	for _, ep := range l.Endpoints {
		names = append(names, ep.Name)
	}
	switch {
	case len(names) == 0:
		return lab.Endpoint{}, clierr.Usage("labctl shell "+l.Metadata.Name, "%s has no endpoints", l.Metadata.Name)
	case name == "":
		return l.Endpoints[0], nil
	}
	ep, ok := l.Endpoint(name)
	if !ok {
		return ep, clierr.Usage("the endpoints are: "+strings.Join(names, ", "), "%s has no endpoint %q", l.Metadata.Name, name)
	}
	return ep, nil
}

// workbench is the selector of the pod that holds a lab's tools.
const workbench = "app=workbench"

// Shell runs a shell or a command in the lab's workbench.
func (e *Engine) Shell(ctx context.Context, o ShellOptions) error {
	s, err := e.join(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	argv := o.Argv
	if len(argv) == 0 {
		argv = []string{"bash"}
	}
	return s.client.Exec(ctx, kube.ExecOptions{
		Namespace: s.namespace, Selector: workbench, Argv: argv, TTY: o.TTY, In: o.In, Out: o.Out, ErrOut: o.ErrOut,
	})
}

// Logs prints the logs of a lab's pods.
func (e *Engine) Logs(ctx context.Context, o LogsOptions) error {
	s, err := e.join(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	selector := ""
	if o.Component != "" {
		if !slices.Contains(s.lab.Components, o.Component) {
			return clierr.Usage("the components are: "+strings.Join(s.lab.Components, ", "), "%s has no component %q", o.Lab, o.Component)
		}
		selector = "app=" + o.Component
	}
	return s.client.Logs(ctx, kube.LogOptions{Namespace: s.namespace, Selector: selector, Follow: o.Follow, Tail: o.Tail, Out: o.Out})
}

// Kubeconfig gives the private kubeconfig for a lab.
func (e *Engine) Kubeconfig(ctx context.Context, name string, flags Target) (*Kubeconfig, error) {
	s, err := e.join(ctx, name, flags)
	if err != nil {
		return nil, err
	}
	raw, err := s.client.Kubeconfig(contextName(name), s.namespace)
	if err != nil {
		return nil, err
	}
	file, err := e.State.WriteLabKubeconfig(name, raw)
	if err != nil {
		return nil, err
	}
	return &Kubeconfig{File: file, Content: raw}, nil
}

// MergeKubeconfig adds a context for the lab to a kubeconfig of the user, and
// leaves the current context as it is. into empty means the file that kubectl
// uses.
func (e *Engine) MergeKubeconfig(ctx context.Context, name string, flags Target, into string) (*Merged, error) {
	k, err := e.Kubeconfig(ctx, name, flags)
	if err != nil {
		return nil, err
	}
	file, err := kube.Merge(k.Content, into)
	if err != nil {
		return nil, clierr.Wrap(err, "merge into the kubeconfig", "name another file with --into")
	}
	return &Merged{Context: contextName(name), File: file}, nil
}

func contextName(lab string) string { return "labctl-" + lab }
