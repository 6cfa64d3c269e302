package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/docker"
)

// network is the part of `docker network inspect` that is needed here.
type network struct {
	Labels  map[string]string `json:"Labels"`
	Options map[string]string `json:"Options"`
}

const mtuOption = "com.docker.network.driver.mtu"

// EnsureNetwork makes the network for nodes and the image cache if there is
// none. kind would make it too, but without our label.
func (m *Manager) EnsureNetwork(ctx context.Context, name string) error {
	var n network
	err := m.docker.Inspect(ctx, "network", name, &n)
	if err == nil {
		return nil
	}
	if !errors.Is(err, docker.ErrNotFound) {
		return fmt.Errorf("look for network %s: %w", name, err)
	}
	args := []string{
		"network", "create", "--driver=bridge", "--label", docker.OwnerLabel + "=" + docker.OwnerValue,
		"--opt", "com.docker.network.bridge.enable_ip_masquerade=true",
	}
	// As kind does: a network with another MTU than the default one's drops
	// packets behind a VPN.
	var bridge network
	if err := m.docker.Inspect(ctx, "network", "bridge", &bridge); err == nil && bridge.Options[mtuOption] != "" {
		args = append(args, "--opt", mtuOption+"="+bridge.Options[mtuOption])
	}
	if _, err := m.docker.Run(ctx, append(args, name)...); err != nil {
		if strings.Contains(err.Error(), "already exists") {
			return nil // somebody was faster
		}
		return clierr.Wrap(err, "make network "+name, networkHint(err))
	}
	return nil
}

func networkHint(err error) string {
	for _, c := range causes {
		if strings.Contains(err.Error(), c.text) {
			return c.hint
		}
	}
	return "labctl doctor checks the engine."
}

// RemoveNetwork removes the network if it is ours and no container, running or
// not, needs it. It tells which containers kept it.
func (m *Manager) RemoveNetwork(ctx context.Context, name string) (users []string, err error) {
	var n network
	err = m.docker.Inspect(ctx, "network", name, &n)
	if errors.Is(err, docker.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for network %s: %w", name, err)
	}
	if n.Labels[docker.OwnerLabel] != docker.OwnerValue {
		return nil, nil // not ours to remove
	}
	users, err = m.docker.Lines(ctx, "ps", "-a", "--filter", "network="+name, "--format", "{{.Names}}")
	if err != nil || len(users) > 0 {
		return users, err
	}
	if _, err := m.docker.Run(ctx, "network", "rm", name); err != nil && !errors.Is(err, docker.ErrNotFound) {
		return nil, fmt.Errorf("remove network %s: %w", name, err)
	}
	return nil, nil
}
