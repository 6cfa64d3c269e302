// Package kube is labctl's access to Kubernetes: clients, namespaces, the wait
// for workloads with a word on what each waits for, port-forwards, commands and
// logs in pods.
//
// It installs nothing (pkg/release does), makes no clusters (pkg/cluster does)
// and knows nothing about labs.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/version"
)

// A learner's cluster has one user: client-go's default of 5 requests a second
// only makes labctl wait for itself.
const (
	qps   = 100
	burst = 200
)

// Client talks to one cluster. It is safe for concurrent use.
type Client struct {
	Config    *rest.Config // copy it before changing it
	Clientset kubernetes.Interface
	// Context is the name of the kubeconfig's context.
	Context string

	log *slog.Logger
	now func() time.Time
}

// Option changes how a Client works.
type Option func(*Client)

// WithLogger gets what the API server warns about, and details of lost
// connections.
func WithLogger(log *slog.Logger) Option { return func(c *Client) { c.log = log } }

// New makes a client from the content of a kubeconfig. An empty context means
// the kubeconfig's current one. It does not connect.
func New(kubeconfig []byte, context string, opts ...Option) (*Client, error) {
	raw, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return newClient(clientcmd.NewNonInteractiveClientConfig(*raw, context, &clientcmd.ConfigOverrides{}, nil), opts)
}

// NewFromFile makes a client from a kubeconfig file; an empty path means what
// kubectl would use (KUBECONFIG, then ~/.kube/config).
func NewFromFile(path, context string, opts ...Option) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	// The default rules warn on stderr about missing files; a path that was
	// given must exist.
	rules.WarnIfAllMissing = false
	rules.ExplicitPath = path
	if path != "" {
		if _, err := os.Stat(path); err != nil {
			return nil, clierr.Wrap(err, "read kubeconfig", "Give the path of an existing file with --kubeconfig.")
		}
	}
	return newClient(clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}), opts)
}

func newClient(cc clientcmd.ClientConfig, opts []Option) (*Client, error) {
	cfg, err := cc.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) {
			return nil, clierr.New("Name a cluster with --kubeconfig or --context.", "the kubeconfig names no cluster")
		}
		return nil, fmt.Errorf("use kubeconfig: %w", err)
	}
	c := &Client{log: slog.New(slog.DiscardHandler), now: time.Now}
	for _, o := range opts {
		o(c)
	}
	if raw, err := cc.RawConfig(); err == nil {
		c.Context = raw.CurrentContext
	}
	cfg.QPS, cfg.Burst = qps, burst
	cfg.UserAgent = "labctl/" + version.Get().Version
	cfg.WarningHandler = warnings{c.log}
	c.Config = cfg
	if c.Clientset, err = kubernetes.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("make Kubernetes client: %w", err)
	}
	return c, nil
}

// warnings sends what the API server warns about to the log: by default it is
// printed on stderr, through whatever is drawn there.
type warnings struct{ log *slog.Logger }

var _ rest.WarningHandler = warnings{}

func (w warnings) HandleWarningHeader(_ int, _, text string) {
	w.log.Debug("API server warns", "text", text)
}

// deniedFor is how long an API server that has just started may refuse its own
// administrator, until its roles are there.
const deniedFor = 15 * time.Second

const (
	// apiTime bounds the wait for an API server that is starting.
	apiTime = 3 * time.Minute
	// requestTime bounds a single request. The client itself has no bound:
	// it would end watches too.
	requestTime = 30 * time.Second
)

var errSilent = errors.New("the API server does not answer")

// request bounds a single request.
func request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, requestTime, errSilent)
}

// WaitAPI waits until the API server says that it is ready.
func (c *Client) WaitAPI(ctx context.Context) error {
	const poll = 200 * time.Millisecond // nothing can be watched before it is ready
	ctx, cancel := context.WithTimeoutCause(ctx, apiTime, errSilent)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var denied time.Time
	for {
		err := c.Ping(ctx)
		switch {
		case err == nil:
			return nil
		case !apierrors.IsUnauthorized(err) && !apierrors.IsForbidden(err):
			denied = time.Time{}
		case denied.IsZero():
			denied = c.now()
		case c.now().Sub(denied) > deniedFor:
			return err
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, errSilent) {
				return errors.Join(cause, err)
			}
			return &clierr.Error{
				Op: fmt.Sprintf("the API server does not answer after %s", apiTime), Err: err, ID: "cluster-unreachable",
				Hint: "labctl doctor checks the engine. On labctl's own cluster, docker ps and docker logs show what its node does.",
			}
		case <-tick.C:
		}
	}
}

// Ping asks the API server once whether it is ready.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := c.Clientset.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("ask the API server: %w", err)
	}
	return nil
}

// unreachable says that the cluster does not answer any more.
func unreachable(err error) error {
	return &clierr.Error{
		Op: "the cluster stopped answering", Err: err, ID: "cluster-unreachable",
		Hint: "Look whether it still runs: labctl status. Is the container engine up? labctl doctor checks it.",
	}
}
