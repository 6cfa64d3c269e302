package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/internal/docker"
)

// Labels that kind puts on its node containers.
const (
	kindClusterLabel = "io.x-k8s.kind.cluster"
	kindRoleLabel    = "io.x-k8s.kind.role"
)

// Phase is where a cluster stands.
type Phase string

// The phases.
const (
	Absent  Phase = "absent"
	Running Phase = "running"
	Stopped Phase = "stopped"
	Partial Phase = "partial" // half made or broken: only Delete helps
	Foreign Phase = "foreign" // not ours: hands off
)

// State is what the engine says of a cluster.
type State struct {
	Name  string
	Phase Phase
	Nodes []Node
	// Why explains Partial and Foreign in a few words.
	Why string
	// OwnerDir is the host directory that marks the owner; empty when the
	// cluster has none.
	OwnerDir string
}

// Node is one node container.
type Node struct {
	Name   string
	Role   string
	Status string // the engine's word: running, exited, created, paused, dead, ...
	ID     string // container id
}

// container is the part of `docker inspect` that is needed here.
type container struct {
	ID    string `json:"Id"`
	Name  string `json:"Name"`
	State struct {
		Status string `json:"Status"`
		// StartedAt is RFC 3339; the zero time before the first start.
		StartedAt string `json:"StartedAt"`
	} `json:"State"`
	Config struct {
		Labels map[string]string `json:"Labels"`
	} `json:"Config"`
	Mounts []struct {
		Source      string `json:"Source"`
		Destination string `json:"Destination"`
	} `json:"Mounts"`
	HostConfig struct {
		Binds []string `json:"Binds"`
	} `json:"HostConfig"`
}

func (c container) startedAt() string { return c.State.StartedAt }

// ownerDir is the source of the id mount. A container that was made but never
// started may show it only as the bind it was asked for.
func (c container) ownerDir() string {
	for _, m := range c.Mounts {
		if m.Destination == IDMount {
			return m.Source
		}
	}
	for _, b := range c.HostConfig.Binds {
		if source, _, ok := strings.Cut(b, ":"+IDMount); ok {
			return source
		}
	}
	return ""
}

// State derives where the cluster stands from the engine alone, so it holds for
// clusters that are stopped, half made, or were killed with the engine.
func (m *Manager) State(ctx context.Context, name string) (State, error) {
	st := State{Name: name, Phase: Absent}
	if err := checkName(name); err != nil {
		return st, err
	}
	containers, err := m.containers(ctx, name)
	if err != nil {
		return st, fmt.Errorf("look for cluster %s: %w", name, err)
	}
	if len(containers) == 0 {
		return st, nil
	}
	statuses := make(map[string]bool)
	for _, c := range containers {
		st.Nodes = append(st.Nodes, Node{
			Name: strings.TrimPrefix(c.Name, "/"), Role: c.Config.Labels[kindRoleLabel], Status: c.State.Status, ID: c.ID,
		})
		statuses[c.State.Status] = true
		st.OwnerDir = c.ownerDir()
		if st.OwnerDir == "" || !m.owner.Owns(st.OwnerDir) || c.Config.Labels[kindClusterLabel] != name {
			st.Phase, st.Why = Foreign, "container "+strings.TrimPrefix(c.Name, "/")+" was made by somebody else"
			return st, nil
		}
	}
	complete, err := m.complete(ctx, NodeName(name))
	switch {
	case err != nil:
		return st, fmt.Errorf("look at cluster %s: %w", name, err)
	case !complete:
		st.Phase, st.Why = Partial, "its creation was cut off"
	case statuses["dead"] || statuses["removing"]:
		st.Phase, st.Why = Partial, "its removal was cut off"
	case len(statuses) == 1 && statuses["running"]:
		st.Phase = Running
	default: // exited, created, paused, restarting, or a mix of them
		st.Phase = Stopped
	}
	return st, nil
}

// containers finds the nodes of a cluster, and a stray container that has the
// name its node would need.
func (m *Manager) containers(ctx context.Context, name string) ([]container, error) {
	names, err := m.docker.Lines(ctx, "ps", "-a", "--no-trunc", "--filter", "label="+kindClusterLabel+"="+name, "--format", "{{.Names}}")
	if err != nil {
		return nil, err
	}
	if node := NodeName(name); !slices.Contains(names, node) {
		names = append(names, node)
	}
	slices.Sort(names)
	var found []container
	for _, n := range names {
		var c container
		err := m.docker.Inspect(ctx, "container", n, &c)
		if errors.Is(err, docker.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, nil
}

// doneFile is written into the node when Create has finished. It stands in the
// container's own layer, so it can be read from a stopped node too and goes
// with it.
const doneFile = "/kind/labctl-created"

// created is the content of doneFile.
type created struct {
	Schema int    `json:"schema"`
	Image  string `json:"image"`
}

// complete tells whether the creation of the node's cluster came to its end.
func (m *Manager) complete(ctx context.Context, node string) (bool, error) {
	var out bytes.Buffer
	err := m.docker.Stream(ctx, nil, &out, nil, nil, "cp", node+":"+doneFile, "-")
	if err != nil {
		if errors.Is(err, docker.ErrNotFound) || isNoSuchFile(err) {
			return false, nil
		}
		return false, err
	}
	tr := tar.NewReader(&out)
	h, err := tr.Next()
	if err != nil || path.Base(h.Name) != path.Base(doneFile) {
		return false, nil //nolint:nilerr // a mark that can't be read is none
	}
	content, err := io.ReadAll(tr)
	var c created
	return err == nil && json.Unmarshal(content, &c) == nil && c.Schema == 1, nil
}

func isNoSuchFile(err error) bool {
	msg := err.Error()
	return strings.Contains(msg, "Could not find the file") || strings.Contains(msg, "no such file or directory")
}

func (m *Manager) markComplete(ctx context.Context, s Spec) error {
	content, err := json.Marshal(created{Schema: 1, Image: s.Image})
	if err != nil {
		return fmt.Errorf("encode mark: %w", err)
	}
	return m.docker.WriteFile(ctx, NodeName(s.Name), doneFile, append(content, '\n'))
}
