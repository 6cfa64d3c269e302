package kube

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// WorkloadStatus is where one workload stands.
type WorkloadStatus struct {
	Kind  string `json:"kind"` // Deployment, StatefulSet, DaemonSet, Job, Pod, PersistentVolumeClaim
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	// Failed means that waiting longer won't help; Reason and Message say why.
	Failed  bool   `json:"failed,omitempty"`
	Reason  string `json:"reason,omitempty"` // Kubernetes' word, such as CrashLoopBackOff
	Message string `json:"message,omitempty"`
	// Pod and Container are what the message is about.
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	Restarts  int32  `json:"restarts,omitempty"`

	// crash is set while a failure depends on what the other workloads do.
	crash bool
	// id is the stable id of the error that the failure becomes.
	id string
}

// String gives "kind/name", as kubectl writes it.
func (w WorkloadStatus) String() string { return strings.ToLower(w.Kind) + "/" + w.Name }

// ref is one object that is waited for.
type ref struct{ kind, name string }

// kinds are the objects that become ready; the order is that of display. All
// others (Services, Secrets, ...) are ready when they exist.
//
//nolint:gochecknoglobals // a constant table
var kinds = []struct{ kind, group string }{
	{"PersistentVolumeClaim", ""},
	{"StatefulSet", "apps"},
	{"Deployment", "apps"},
	{"DaemonSet", "apps"},
	{"Pod", ""},
	{"Job", "batch"},
}

// workloads picks the objects that become ready, in the order of display.
func workloads(objects []unstructured.Unstructured) []ref {
	rank := func(kind string) int {
		return slices.IndexFunc(kinds, func(k struct{ kind, group string }) bool { return k.kind == kind })
	}
	var refs []ref
	for _, o := range objects {
		gvk := o.GroupVersionKind()
		if i := rank(gvk.Kind); i >= 0 && kinds[i].group == gvk.Group {
			refs = append(refs, ref{gvk.Kind, o.GetName()})
		}
	}
	slices.SortStableFunc(refs, func(a, b ref) int {
		return cmp.Or(cmp.Compare(rank(a.kind), rank(b.kind)), cmp.Compare(a.name, b.name))
	})
	return slices.Compact(refs)
}
