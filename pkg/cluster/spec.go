package cluster

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"
)

// Spec says which cluster is wanted.
type Spec struct {
	Name  string
	Image string // node image; must be in the engine already
	// IDDir is the host directory mounted read-only at IDMount.
	IDDir string
	// Network is the Docker network, made before by EnsureNetwork. It must be
	// the value of NetworkEnv in this process.
	Network string
	// Kubeconfig is the private file that gets the cluster's credentials.
	Kubeconfig string
	// Logs makes a directory for the logs of a creation that failed; nil keeps none.
	Logs func() (dir string, err error)
	// Host is what the engine needs.
	Host Host
}

// Host is what of the engine's machine and of the node image changes how a node
// must be set up; see Manager.Host.
type Host struct {
	CgroupV1 bool
	// NoSysResource: the capability is missing, so nobody may lower an OOM score.
	NoSysResource bool
	// Patched: the node image's containerd is configured for NoSysResource already.
	Patched bool
	// BuiltinCNI: the node image brings its pod network along.
	BuiltinCNI bool
}

// setting is one line of containerd's configuration, in its table.
type setting struct{ table, line string }

// containerdSettings are what kind must change in containerd's configuration,
// for which it restarts containerd. kind's config.toml is of version 2, hence the
// old plugin name, although containerd is 2.x.
func (h Host) containerdSettings() []setting {
	const cri = `plugins."io.containerd.grpc.v1.cri"`
	var found []setting
	if h.NoSysResource && !h.Patched {
		found = append(found, setting{cri, "restrict_oom_score_adj = true"})
	}
	if h.CgroupV1 {
		// With the driver systemd and cgroup v1, runc freezes a container before
		// it starts, and on a busy machine now and then fails to
		// (kubernetes#131087: "unable to freeze").
		found = append(found, setting{cri + ".containerd.runtimes.runc.options", "SystemdCgroup = false"})
	}
	return found
}

// ContainerdPatches are the containerdSettings as kind takes them.
func (h Host) ContainerdPatches() []string {
	var patches []string
	for _, set := range h.containerdSettings() {
		patches = append(patches, fmt.Sprintf("[%s]\n  %s\n", set.table, set.line))
	}
	return patches
}

// KubeletSettings are the fields of a KubeletConfiguration without which
// kubelet does not start, or does not agree with containerd.
func (h Host) KubeletSettings() map[string]any {
	if !h.CgroupV1 {
		return nil
	}
	return map[string]any{"failCgroupV1": false, "cgroupDriver": "cgroupfs"} // the driver is containerd's, see containerdSettings
}

func (s Spec) validate() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	switch {
	case s.Image == "":
		return errors.New("cluster spec: no node image")
	case !filepath.IsAbs(s.IDDir):
		return errors.New("cluster spec: the id directory must be an absolute path")
	case !filepath.IsAbs(s.Kubeconfig):
		return errors.New("cluster spec: the kubeconfig must be an absolute path")
	case !networkSet(s.Network):
		return fmt.Errorf("cluster spec: network %q, but %s is not set to it", s.Network, NetworkEnv)
	}
	return nil
}

// arg is one flag of a control-plane component in kubeadm's v1beta4 form.
type arg struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type component struct {
	ExtraArgs []arg `json:"extraArgs,omitempty"`
}

// maxParallelPulls is how many images kubelet pulls at once. They come from a
// registry on the same machine, so more would only fight for disk and CPU.
const maxParallelPulls = 4

// config is the kind configuration of a spec. Its defaults are kind's where
// nothing else is said. docs/performance.md has what each setting saves.
func (s Spec) config() (*v1alpha4.Cluster, error) {
	kubelet := map[string]any{
		"kind":                  "KubeletConfiguration",
		"apiVersion":            "kubelet.config.k8s.io/v1beta1",
		"serializeImagePulls":   false,
		"maxParallelImagePulls": maxParallelPulls,
		// A pod that crashed while something it needs was away (after a stop
		// and start of the cluster: everything) is tried again within
		// seconds, not minutes.
		"crashLoopBackOff": map[string]any{"maxContainerRestartPeriod": "10s"},
	}
	maps.Copy(kubelet, s.Host.KubeletSettings())
	clusterConfig := map[string]any{
		"kind":       "ClusterConfiguration",
		"apiVersion": "kubeadm.k8s.io/v1beta4",
		// RSA keys for the dozen certificates cost most of a second.
		"encryptionAlgorithm": "ECDSA-P256",
		// One control plane has nobody to elect, and after a restart of the
		// node would wait for its own lease to run out.
		//
		// The controller manager gives each controller an account and a token
		// before it starts, which its default of 20 requests a second makes
		// last five seconds.
		"controllerManager": component{ExtraArgs: []arg{{"leader-elect", "false"}, {"kube-api-qps", "200"}, {"kube-api-burst", "400"}}},
		"scheduler":         component{ExtraArgs: []arg{{"leader-elect", "false"}}},
	}
	initConfig := map[string]any{
		"kind":       "InitConfiguration",
		"apiVersion": "kubeadm.k8s.io/v1beta4",
		// A cluster whose certificates end after a year anyway does not need
		// kubelet restarted to make it renew its own. (kind skips the
		// preflight. bootstrap-token must stay: it also lets the API server
		// talk to kubelet.)
		"skipPhases": []string{"preflight", "kubelet-finalize"},
	}
	if s.Host.BuiltinCNI {
		initConfig["nodeRegistration"] = map[string]any{"taints": []string{}} // or kind would have to remove it
		initConfig["patches"] = map[string]any{"directory": patchDir}         // the bootstrap script fills it
	}
	patches := make([]string, 0, 3)
	for _, p := range []map[string]any{clusterConfig, initConfig, kubelet} {
		out, err := yaml.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encode kubeadm patch: %w", err)
		}
		patches = append(patches, string(out))
	}
	c := &v1alpha4.Cluster{
		TypeMeta: v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:     s.Name,
		Nodes: []v1alpha4.Node{{
			Role:        v1alpha4.ControlPlaneRole,
			Image:       s.Image,
			ExtraMounts: []v1alpha4.Mount{{HostPath: s.IDDir, ContainerPath: IDMount, Readonly: true}},
		}},
		// The API server's port is picked by kind: a free one on 127.0.0.1.
		Networking:           v1alpha4.Networking{APIServerAddress: "127.0.0.1", DisableDefaultCNI: s.Host.BuiltinCNI},
		KubeadmConfigPatches: patches,
	}
	c.ContainerdConfigPatches = s.Host.ContainerdPatches()
	return c, nil
}
