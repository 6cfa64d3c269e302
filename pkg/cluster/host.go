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
	h := Host{
		CgroupV1:   info.CgroupVersion == "1",
		Patched:    img.Config.Labels[LabelContainerd] == "patched",
		BuiltinCNI: img.Config.Labels[LabelCNI] == "builtin",
	}
	// Only an engine on this very machine shares our limits; those in a
	// virtual machine have every capability.
	if name, err := os.Hostname(); err == nil && name == info.Name && runtime.GOOS == "linux" {
		status, err := os.ReadFile("/proc/self/status")
		h.NoSysResource = err == nil && lacksCapability(string(status), capSysResource)
	}
	return h, nil
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
