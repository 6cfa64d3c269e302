package release

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// fieldManager owns the fields that an install sets. Helm's default is the
	// name of the binary, which a test or a kubectl plugin changes.
	fieldManager = "labctl"
	// requestTimeout bounds each request, because Helm takes no context.
	requestTimeout = 30 * time.Second
)

// setFieldManager writes Helm's package variable once, so that parallel
// installs don't race on it.
//
//nolint:gochecknoglobals // guards a global of Helm
var setFieldManager = sync.OnceFunc(func() { kube.ManagedFieldsManager = fieldManager })

// session is one use of Helm.
type session struct {
	helm *action.Configuration
	// exists tells whether an object is still in the cluster.
	exists func(context.Context, Object) (bool, error)
}

// connect makes a session on a cluster. Releases are kept in Secrets.
func connect(base *rest.Config, namespace string, log *slog.Logger) (*session, error) {
	if base == nil {
		return nil, errors.New("no cluster is given")
	}
	setFieldManager()
	g, err := newGetter(base, namespace, log)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	debug := func(format string, args ...any) { log.Debug(fmt.Sprintf(format, args...), "from", "helm") }
	cfg := new(action.Configuration)
	if err := cfg.Init(g, namespace, "secret", debug); err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	objects, err := dynamic.NewForConfig(g.config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return &session{helm: cfg, exists: func(ctx context.Context, o Object) (bool, error) {
		return exists(ctx, g.mapper, objects, o)
	}}, nil
}

func exists(ctx context.Context, mapper meta.RESTMapper, objects dynamic.Interface, o Object) (bool, error) {
	gvk := o.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return false, nil // its kind has gone
	}
	if err != nil {
		return false, err
	}
	var resource dynamic.ResourceInterface = objects.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = objects.Resource(mapping.Resource).Namespace(o.GetNamespace())
	}
	_, err = resource.Get(ctx, o.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// getter gives Helm its clients from a rest.Config alone. Helm's own reads
// HELM_* variables and the user's kubeconfig, which would send an install to
// another cluster.
type getter struct {
	config    *rest.Config
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.ResettableRESTMapper
	raw       clientcmd.ClientConfig
}

func newGetter(base *rest.Config, namespace string, log *slog.Logger) (*getter, error) {
	config := rest.CopyConfig(base)
	config.QPS = -1 // no throttle: an install is a burst of small requests, and the server has its own
	config.Timeout = requestTimeout
	config.UserAgent = fieldManager
	config.WarningHandler = warnings{log}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	cached := memory.NewMemCacheClient(client)
	// Helm asks this only for the namespace to work in.
	raw := clientcmd.NewDefaultClientConfig(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{fieldManager: {Server: config.Host}},
		Contexts:       map[string]*clientcmdapi.Context{fieldManager: {Cluster: fieldManager, Namespace: namespace}},
		CurrentContext: fieldManager,
	}, &clientcmd.ConfigOverrides{})
	return &getter{
		config: config, discovery: cached, raw: raw,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached),
	}, nil
}

// ToRESTConfig gives a copy, because callers change it.
func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

// ToDiscoveryClient gives the one client of the session, so that the server is asked once.
func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

// ToRESTMapper gives the one mapper of the session.
func (g *getter) ToRESTMapper() (meta.RESTMapper, error) { return g.mapper, nil }

// ToRawKubeConfigLoader gives the namespace, and nothing of the user's.
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig { return g.raw }

// warnings sends what the API server warns about to the log; klog would print
// it into the progress display.
type warnings struct{ log *slog.Logger }

// HandleWarningHeader is called once per warning of a response.
func (w warnings) HandleWarningHeader(_ int, _, text string) {
	w.log.Warn(text, "from", "kubernetes")
}
