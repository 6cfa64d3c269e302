package engine

import (
	"context"
	"fmt"
	"os"
	"time"

	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/ui"
)

// activeLease is the lease that whoever perturbs the lab with a check holds.
const activeLease = "labctl-active-check"

// HoldActive takes the right to run active checks on the lab, which one labctl
// at a time has, on whatever machine it runs.
func (s *Session) HoldActive(ctx context.Context, sink ui.Sink) (release func(), err error) {
	return s.Client.Hold(ctx, kube.Lease{
		Namespace: s.Namespace, Name: activeLease,
		Holder: fmt.Sprintf("labctl-%d-%d", os.Getpid(), time.Now().UnixNano()),
		OnWait: func(string) {
			sink.Emit(ui.Event{Kind: ui.Note, Text: "Another labctl runs an active check on this lab; waiting for it."})
		},
	})
}
