package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/state"
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
	Sizes       <-chan kube.Size // of the terminal, with TTY
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
	s, err := e.Join(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = s.Client.PortForward(ctx, kube.Forward{
		Namespace: s.Namespace, Service: ep.Service, Port: int32(ep.Port), LocalPort: o.Port, OnEvent: o.Note, //nolint:gosec // ports are validated
		OnReady: func(port int) {
			if failed = o.Ready(Endpoint{Name: ep.Name, Title: ep.Title}, fmt.Sprintf("http://127.0.0.1:%d%s", port, ep.Path)); failed != nil {
				cancel()
			}
		},
	})
	if failed != nil {
		return failed
	}
	return err
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
	s, err := e.Join(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	argv := o.Argv
	if len(argv) == 0 {
		argv = []string{"bash"}
	}
	err = s.Client.Exec(ctx, kube.Exec{
		Namespace: s.Namespace, Selector: workbench, Command: argv, TTY: o.TTY, Sizes: o.Sizes,
		Stdin: o.In, Stdout: o.Out, Stderr: o.ErrOut,
	})
	if errors.Is(err, kube.ErrNoPod) {
		return clierr.Wrap(err, "find the workbench of "+o.Lab, "labctl status "+o.Lab)
	}
	return err
}

// Logs prints the logs of a lab's pods.
func (e *Engine) Logs(ctx context.Context, o LogsOptions) error {
	entry, err := e.lookUp(o.Lab)
	if err != nil {
		return err
	}
	selector := ""
	if o.Component != "" {
		if !slices.Contains(entry.Lab.Components, o.Component) {
			return clierr.Usage("the components are: "+strings.Join(entry.Lab.Components, ", "), "%s has no component %q", o.Lab, o.Component)
		}
		selector = "app=" + o.Component
	}
	s, err := e.Join(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	err = s.Client.Logs(ctx, kube.Logs{Namespace: s.Namespace, Selector: selector, Follow: o.Follow, Tail: o.Tail, Prefix: o.Component == ""}, o.Out)
	if o.Follow && errors.Is(context.Cause(ctx), clierr.ErrInterrupted) {
		return nil // Ctrl-C is how following ends
	}
	return err
}

// Kubeconfig gives the private kubeconfig for a lab.
func (e *Engine) Kubeconfig(ctx context.Context, name string, flags Target) (*Kubeconfig, error) {
	s, err := e.Join(ctx, name, flags)
	if err != nil {
		return nil, err
	}
	raw, err := e.credentials(ctx, s.Target)
	if err != nil {
		return nil, err
	}
	if raw, err = kube.Rename(raw, contextName(name), s.Namespace); err != nil {
		return nil, clierr.Wrap(err, "make a kubeconfig for "+name, "")
	}
	if err := e.State.WriteKubeconfig(labKubeconfig(name), raw); err != nil {
		return nil, err
	}
	return &Kubeconfig{File: e.State.KubeconfigPath(labKubeconfig(name)), Content: raw}, nil
}

// credentials gives the kubeconfig of a target.
func (e *Engine) credentials(ctx context.Context, t Target) ([]byte, error) {
	if !t.Existing() {
		return e.Cluster.Kubeconfig(ctx, e.ClusterName)
	}
	raw, err := kube.Minify(t.Kubeconfig, t.Context)
	return raw, clierr.Wrap(err, "read the credentials of "+t.String(), "check --kubeconfig and --context")
}

// MergeKubeconfig adds a context for the lab to a kubeconfig of the user, and
// leaves the current context as it is. into empty means the file that kubectl
// uses.
func (e *Engine) MergeKubeconfig(ctx context.Context, name string, flags Target, into string) (*Merged, error) {
	k, err := e.Kubeconfig(ctx, name, flags)
	if err != nil {
		return nil, err
	}
	if into == "" {
		into = kube.DefaultFile()
	}
	if into, err = filepath.Abs(into); err != nil {
		return nil, clierr.Wrap(err, "find "+into, "give an absolute path")
	}
	// Noted first: a note too many does no harm, a context too many stays for ever.
	if err := e.State.AddMerged(state.Merged{Lab: name, File: into, Context: contextName(name)}); err != nil {
		return nil, err
	}
	if err := kube.MergeKubeconfig(into, k.Content, contextName(name), Namespace(name), false); err != nil {
		return nil, clierr.Wrap(err, "merge into "+into, "name another file with --into")
	}
	return &Merged{Context: contextName(name), File: into}, nil
}

func contextName(lab string) string { return "labctl-" + lab }

// labKubeconfig is the name under which the state keeps a lab's kubeconfig. No
// cluster has it: their names hold no double hyphen in practice, and lose
// nothing but a file that is written anew at each use.
func labKubeconfig(lab string) string { return "lab--" + lab }
