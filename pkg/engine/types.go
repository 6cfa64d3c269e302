package engine

import (
	"labctl.dev/labctl/pkg/kube"
)

// NetworkName is the Docker network of the nodes and the image cache. It is our
// own, so that it can be removed without asking who else uses it.
const NetworkName = "labctl"

// Labels and annotations on a lab's namespace.
const (
	labelLab       = "labctl.dev/lab"
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "labctl"
	// annotationCreated marks a namespace that `up` made, so that `down` may
	// remove it. A namespace that somebody else made is emptied, never removed.
	annotationCreated = "labctl.dev/created-by-up"
	// annotationReady holds when the lab was ready for the first time. Until
	// then `up` waits; after that it only reports.
	annotationReady = "labctl.dev/ready-at"
	// annotationReset holds since when the lab is being reset. It is there until
	// the reset has ended, so that one which was cut off is seen and ended.
	annotationReset = "labctl.dev/reset-began"
)

// Target is the cluster that a command means. The zero value is the local kind
// cluster, or what was remembered for the lab.
type Target struct {
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
	Registry   string `json:"registry,omitempty"`
}

// Existing tells whether the target is a cluster that labctl did not make.
func (t Target) Existing() bool { return t.Kubeconfig != "" || t.Context != "" }

// String names the target for people.
func (t Target) String() string {
	switch {
	case !t.Existing():
		return "local cluster"
	case t.Context != "" && t.Kubeconfig != "":
		return "context " + t.Context + " of " + t.Kubeconfig
	case t.Context != "":
		return "context " + t.Context
	default:
		return t.Kubeconfig
	}
}

// Endpoint is a door of a lab and the command that opens it.
type Endpoint struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Command string `json:"command"`
}

// UpOptions say what to bring up.
type UpOptions struct {
	Lab    string
	Target Target
	// Ignore lists findings of the preflight that shall not stop the work.
	Ignore []string
}

// UpResult is what `up` came to.
type UpResult struct {
	Lab       string     `json:"lab"`
	Title     string     `json:"title"`
	Namespace string     `json:"namespace"`
	Target    string     `json:"target"`
	Endpoints []Endpoint `json:"endpoints"`
	Next      string     `json:"next,omitempty"`
	// Changed is false when the lab was up before and nothing was done.
	Changed bool `json:"changed"`
	// NotReady lists what is not ready in a lab that was up before: the
	// learner's doing, or a fault being drilled, so it is no failure.
	NotReady []kube.WorkloadStatus `json:"notReady,omitempty"`
	// Newer tells that the binary carries a newer chart than the one installed.
	Newer bool `json:"newerChart,omitempty"`
	// Reset tells that a reset had been cut off and was brought to its end.
	Reset bool     `json:"reset,omitempty"`
	Steps []Timing `json:"steps"`
}

// DownOptions say what to take down.
type DownOptions struct {
	Lab         string
	All         bool
	Target      Target
	Forget      bool // only forget the lab, whose cluster is gone for good
	KeepCluster bool // leave the kind cluster when its last lab goes
	Purge       bool // remove the image cache and the state directory too
}

// DownResult is what `down` came to.
type DownResult struct {
	Labs    []string `json:"labs"`
	Removed []string `json:"removed"`
	Kept    []string `json:"kept,omitempty"`
	Steps   []Timing `json:"steps"`
}

// ResetOptions say which lab to set back.
type ResetOptions struct {
	Lab    string
	Target Target
}

// ResetResult is what `reset` came to.
type ResetResult struct {
	Lab    string `json:"lab"`
	Target string `json:"target"`
	// Removed are objects that the release does not have; what they own went
	// with them.
	Removed []string `json:"removed"`
	// Restored are objects of the release that were missing or different.
	Restored []string `json:"restored"`
	// Upgraded tells that the binary's newer chart was installed first.
	Upgraded bool `json:"upgraded,omitempty"`
	// Resumed tells that an earlier reset had been cut off.
	Resumed bool     `json:"resumed,omitempty"`
	Steps   []Timing `json:"steps"`
}

// LabStatus is where one lab stands.
type LabStatus struct {
	Lab       string                `json:"lab"`
	Target    string                `json:"target"`
	Namespace string                `json:"namespace"`
	State     string                `json:"state"`            // ready, starting, not ready, resetting, installing, failed, going, unreachable
	Reason    string                `json:"reason,omitempty"` // why it is unreachable, or what to do
	Release   string                `json:"release"`
	Workloads []kube.WorkloadStatus `json:"workloads"`
	Endpoints []Endpoint            `json:"endpoints"`
	Newer     bool                  `json:"newerChart,omitempty"`
}

// Status is where everything stands.
type Status struct {
	Cluster string      `json:"cluster"` // running, stopped, absent, partial, foreign; for the local kind cluster
	Labs    []LabStatus `json:"labs"`
}
