package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"

	corev1 "k8s.io/api/core/v1"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/ui"
)

// Session is a lab that is up, and what it takes to work on it.
type Session struct {
	Lab *lab.Lab
	// Files is the lab's directory.
	Files     fs.FS
	Name      string
	Namespace string
	Target    Target
	Client    *kube.Client
	// Installation is the id of this installation of the lab. It stays the same
	// until the lab is reset, or taken down and brought up again.
	Installation string
}

// Join finds a lab that is up.
func (e *Engine) Join(ctx context.Context, name string, flags Target) (*Session, error) {
	entry, err := e.lookUp(name)
	if err != nil {
		return nil, err
	}
	target, err := e.target(name, flags)
	if err != nil {
		return nil, err
	}
	if !target.Existing() {
		st, err := e.clusterState(ctx)
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
	s := &Session{Lab: entry.Lab, Files: entry.FS, Name: name, Namespace: Namespace(name), Target: target, Client: client}
	ns, err := client.Namespace(ctx, s.Namespace)
	if err != nil {
		return nil, clierr.Wrap(err, "reach "+target.String(), "check that kubectl reaches the cluster with the same kubeconfig and context, and that its token has not expired")
	}
	if ns == nil {
		return nil, clierr.New("labctl up "+name, "%s is not up on %s", name, target)
	}
	s.Installation = installationID(ns)
	return s, nil
}

// Exclusive runs f while no other labctl changes the cluster of the session:
// it takes the lock that up, down and reset take.
func (e *Engine) Exclusive(ctx context.Context, s *Session, command string, sink ui.Sink, f func() error) error {
	return e.locked(ctx, s.Target, command, sink, f)
}

// installationID tells installations of a lab apart. The namespace alone does
// not: one that somebody else made outlives the lab, and a reset works in place.
func installationID(ns *corev1.Namespace) string {
	sum := sha256.Sum256([]byte(string(ns.UID) + "\x00" + ns.Annotations[annotationReady]))
	return hex.EncodeToString(sum[:8])
}
