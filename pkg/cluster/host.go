package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Labels on a node image that spare work; the public image has neither.
const (
	// LabelContainerd = "patched": OOM scores are restricted and
	// /etc/containerd/certs.d is read.
	LabelContainerd = "dev.labctl.node.containerd"
	// LabelCNI = "builtin": the pod network needs nothing to be installed.
	LabelCNI = "dev.labctl.node.cni"
)

// capSysResource is the number of CAP_SYS_RESOURCE.
const capSysResource = 24

// Host finds out what the engine and the node image need.
func (m *Manager) Host(ctx context.Context, image string) (Host, error) {
	out, err := m.docker.Run(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return Host{}, fmt.Errorf("ask the engine about itself: %w", err)
	}
	var info struct {
		CgroupVersion string
		Name          string
	}
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		return Host{}, fmt.Errorf("read what the engine says of itself: %w", err)
	}
	var img struct {
		Config struct{ Labels map[string]string }
	}
	if err := m.docker.Inspect(ctx, "image", image, &img); err != nil {
		return Host{}, fmt.Errorf("look for node image %s: %w", image, err)
	}
	// Only an engine on this very machine shares our limits; those in a
	// virtual machine have every capability.
	status := ""
	if name, err := os.Hostname(); err == nil && name == info.Name && runtime.GOOS == "linux" {
		if own, err := os.ReadFile("/proc/self/status"); err == nil {
			status = string(own)
		}
	}
	return NewHost(info.CgroupVersion, img.Config.Labels, status), nil
}

// NewHost is the Host of an engine with that cgroup version ("1" or "2") and of
// a node image with these labels. The status is /proc/<pid>/status of a process
// that has the engine's limits; "" stands for none.
func NewHost(cgroup string, labels map[string]string, status string) Host {
	return Host{
		CgroupV1:      cgroup == "1",
		NoSysResource: lacksCapability(status, capSysResource),
		Patched:       labels[LabelContainerd] == "patched",
		BuiltinCNI:    labels[LabelCNI] == "builtin",
	}
}

// lacksCapability reads the bounding set of a process from /proc/<pid>/status.
func lacksCapability(status string, number int) bool {
	for line := range strings.Lines(status) {
		hex, ok := strings.CutPrefix(line, "CapBnd:")
		if !ok {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		return err == nil && set&(1<<number) == 0
	}
	return false
}
