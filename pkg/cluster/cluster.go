// Package cluster makes, finds, stops and removes kind clusters of ours. It is
// the only package that imports kind, and kind's types do not leave it.
//
// It does not talk to Kubernetes (pkg/kube does), does not decide when a
// cluster is wanted (pkg/engine does), and never touches a cluster that it
// can't prove to be ours.
package cluster

import (
	"errors"
	"log/slog"
	"os"
	"regexp"

	"sigs.k8s.io/kind/pkg/cluster"
	kindlog "sigs.k8s.io/kind/pkg/log"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/docker"
)

// NetworkEnv names the Docker network that kind puts nodes into. kind's docker
// provider reads it from the environment of the process even when kind is a
// library, so main sets it once, before anything starts.
const NetworkEnv = "KIND_EXPERIMENTAL_DOCKER_NETWORK"

// IDMount is where a node has the id directory of its owner. kind can't label
// node containers, but a mount is visible to the engine from the first moment.
const IDMount = "/etc/labctl"

// What Create, Start and Delete refuse.
var (
	ErrExists  = errors.New("the cluster exists already")
	ErrForeign = errors.New("the cluster is not ours")
	ErrAbsent  = errors.New("there is no such cluster")
)

// nameRE holds kind's rule for names, shortened so that node names stay valid
// host names.
var nameRE = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$`)

// Owner tells from the host directory that is mounted at IDMount whether a
// node is ours; state.ID is one.
type Owner interface {
	Owns(source string) bool
}

// Manager works on kind clusters through the docker command line.
type Manager struct {
	docker *docker.CLI
	owner  Owner
	log    *slog.Logger
	// kind makes kind's provider; a field so that tests can do without one.
	kind func(kindlog.Logger) provider
}

// provider is what this package needs of kind.
type provider interface {
	Create(name string, options ...cluster.CreateOption) error
	CollectLogs(name, dir string) error
	KubeConfig(name string, internal bool) (string, error)
}

var _ provider = (*cluster.Provider)(nil)

// New makes a Manager. The engine behind d is taken to be Docker: callers
// refuse other engines before.
func New(d *docker.CLI, owner Owner, log *slog.Logger) *Manager {
	return &Manager{docker: d, owner: owner, log: log, kind: func(l kindlog.Logger) provider {
		// Always explicit: without an option kind detects an engine and
		// falls back to docker silently when it finds none.
		return cluster.NewProvider(cluster.ProviderWithLogger(l), cluster.ProviderWithDocker())
	}}
}

// NodeName is the container of the (only) node of a cluster.
func NodeName(name string) string { return name + "-control-plane" }

func checkName(name string) error {
	if !nameRE.MatchString(name) {
		return clierr.Usage("Use lower-case letters, digits and '-', at most 50 of them.", "cluster name %q is not valid", name)
	}
	return nil
}

// foreign is the error for a cluster that has our name but not our mark.
func foreign(st State) error {
	detail := "A container of that name exists, but this labctl did not make it."
	if st.OwnerDir != "" {
		detail = "It was made by another labctl, whose mark is " + st.OwnerDir + "."
	}
	return &clierr.Error{
		Op:     "use cluster " + st.Name,
		Err:    ErrForeign,
		ID:     "cluster-foreign",
		Hint:   "Nothing was touched. If nobody needs it, remove it yourself: kind delete cluster --name " + st.Name,
		Detail: detail,
	}
}

// networkSet tells whether kind will use the network that the spec names.
func networkSet(name string) bool { return os.Getenv(NetworkEnv) == name }
