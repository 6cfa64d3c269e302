package engine

import (
	"context"
	"crypto/rand"

	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/ui"
)

// activeLease is the lease that whoever perturbs a lab with a check holds.
const activeLease = "labctl-active-check"

// clusterLeases is the namespace of the lease that is for all labs of a cluster:
// every cluster has it.
const clusterLeases = "default"

// HoldActive takes the right to run active checks, which one labctl at a time has
// on the lab, on whatever machine it runs. Where the user may, it is taken for the
// whole cluster: load on one lab would be read as slowness in another. On the
// cluster of a class, where a learner has rights in one namespace only, labs do
// not wait for each other. The check uses the context held, which ends when the
// right is lost.
func (s *Session) HoldActive(ctx context.Context, sink ui.Sink) (held context.Context, release func(), err error) {
	lease := kube.Lease{
		Namespace: s.Namespace, Name: activeLease,
		Holder: "labctl-" + rand.Text(),
		OnWait: func(string) {
			sink.Emit(ui.Event{Kind: ui.Note, Text: "Another labctl runs an active check on this lab; waiting for it."})
		},
	}
	var rights []kube.Right
	for _, verb := range []string{"get", "create", "update", "delete"} {
		rights = append(rights, kube.Right{Verb: verb, Group: "coordination.k8s.io", Resource: "leases", Namespace: clusterLeases})
	}
	everywhere, err := s.Client.May(ctx, rights...)
	if err != nil {
		return nil, nil, err
	}
	// The lab's own comes first for everybody, so that no two wait for each other.
	held, releaseLab, err := s.Client.Hold(ctx, lease)
	if err != nil || !everywhere {
		return held, releaseLab, err
	}
	lease.Namespace = clusterLeases
	lease.OnWait = func(string) {
		sink.Emit(ui.Event{Kind: ui.Note, Text: "Another lab of this cluster runs an active check; waiting for it."})
	}
	held, releaseCluster, err := s.Client.Hold(held, lease)
	if err != nil {
		releaseLab()
		return nil, nil, err
	}
	return held, func() {
		releaseCluster()
		releaseLab()
	}, nil
}
