// Package release installs a lab's umbrella chart as one Helm release. It is
// the only package that imports Helm, and none of Helm's types leave it.
//
// It creates objects and does not wait for them to become ready: that is
// pkg/kube. It makes no namespace and knows nothing about labs.
package release

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// ErrDeployed says that Apply left a deployed release alone. Helm's three-way
// merge would set every field back that a learner has changed.
var ErrDeployed = errors.New("release is already deployed")

// Values are the values of a chart, as in a values.yaml.
type Values = map[string]any

// Object is a Kubernetes object.
type Object = unstructured.Unstructured

// Status is where a release stands. The words are Helm's.
type Status string

// The states that a release can be in.
const (
	StatusDeployed        Status = "deployed"
	StatusFailed          Status = "failed"
	StatusPendingInstall  Status = "pending-install"
	StatusPendingUpgrade  Status = "pending-upgrade"
	StatusPendingRollback Status = "pending-rollback"
	StatusUninstalling    Status = "uninstalling"
)

// Info describes a release. It is the zero value, but for the name, when there
// is no such release.
type Info struct {
	Name         string
	Exists       bool
	Status       Status
	Revision     int
	ChartVersion string
	// ChartDigest is Chart.Digest of the chart that was installed, or empty
	// when plain Helm installed it.
	ChartDigest string
	Deployed    time.Time
}

// Config says where releases are kept.
type Config struct {
	RESTConfig *rest.Config
	Namespace  string
	// Log gets what Helm and the API server have to say; nil drops it.
	Log *slog.Logger
}

// Client works on the releases of one namespace. It is safe for concurrent use,
// because every call makes its own Helm configuration: Helm's can't be shared.
type Client struct {
	namespace string
	log       *slog.Logger
	open      func() (*session, error)
}

// New makes a client. It does not connect.
func New(cfg Config) *Client {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Client{namespace: cfg.Namespace, log: log}
	c.open = func() (*session, error) { return connect(cfg.RESTConfig, c.namespace, c.log) }
	return c
}

// Status tells whether the release exists and where it stands.
func (c *Client) Status(ctx context.Context, name string) (Info, error) {
	return await(ctx, func() (Info, error) {
		s, err := c.open()
		if err != nil {
			return Info{}, err
		}
		last, err := s.last(name)
		if err != nil {
			return Info{}, fmt.Errorf("read release %s: %w", name, err)
		}
		return infoOf(name, last), nil
	})
}

// Objects gives the objects of the release as the chart made them, in the order
// of their installation. There are none when there is no release.
func (c *Client) Objects(ctx context.Context, name string) ([]Object, error) {
	return await(ctx, func() ([]Object, error) {
		s, err := c.open()
		if err != nil {
			return nil, err
		}
		last, err := s.last(name)
		if err != nil {
			return nil, fmt.Errorf("read release %s: %w", name, err)
		}
		if last == nil {
			return nil, nil
		}
		return parse(last.Manifest, c.namespace)
	})
}

// Installed gives the objects of the release as Helm put them into the cluster:
// those of the chart, with the marks by which Helm knows its own.
func (c *Client) Installed(ctx context.Context, name string) ([]Object, error) {
	objects, err := c.Objects(ctx, name)
	for i := range objects {
		o := &objects[i]
		o.SetLabels(with(o.GetLabels(), "app.kubernetes.io/managed-by", "Helm"))
		o.SetAnnotations(with(o.GetAnnotations(), "meta.helm.sh/release-name", name))
		o.SetAnnotations(with(o.GetAnnotations(), "meta.helm.sh/release-namespace", c.namespace))
	}
	return objects, err
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = make(map[string]string)
	}
	m[key] = value
	return m
}

// last gives the newest revision, or nil when there is no release.
func (s *session) last(name string) (*helm.Release, error) {
	last, err := s.helm.Releases.Last(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil //nolint:nilnil // no release is a state, not an error
	}
	return last, err
}

func infoOf(name string, r *helm.Release) Info {
	if r == nil {
		return Info{Name: name}
	}
	info := Info{Name: name, Exists: true, Revision: r.Version}
	if r.Info != nil {
		info.Status = Status(r.Info.Status)
		info.Deployed = r.Info.LastDeployed.Time
	}
	if r.Chart != nil && r.Chart.Metadata != nil {
		info.ChartVersion = r.Chart.Metadata.Version
		info.ChartDigest = r.Chart.Metadata.Annotations[digestAnnotation]
	}
	return info
}

// await lets a caller go on when ctx ends while Helm, which takes no context,
// still reads. It is for calls that change nothing.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}
