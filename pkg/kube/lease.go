package kube

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Times of a lease: after a holder was killed, the next one waits for leaseLasts.
const (
	leaseLasts  = 15 * time.Second
	leaseRenews = 10 * time.Second
	leaseRetry  = time.Second
)

// Lease says which lease to hold, and as whom.
type Lease struct {
	Namespace, Name string
	// Holder tells this process from others.
	Holder string
	// OnWait is told once who holds the lease, when somebody else does.
	OnWait func(holder string)
}

// ErrLeaseLost is why the context of a lease ends that could not be renewed.
var ErrLeaseLost = fmt.Errorf("the lease could not be renewed for %s, so somebody else may have it", leaseRenews)

// Hold takes a lease in the cluster and renews it until release is called, so
// that users on different machines take turns. It waits for another holder until
// ctx ends. What is done under the lease uses the context held, which ends with
// ErrLeaseLost when the lease can't be renewed. release may be called more than
// once; a lease that nobody took over by then is deleted.
func (c *Client) Hold(ctx context.Context, l Lease) (held context.Context, release func(), err error) {
	// Without the right to use leases the wait would never end.
	leases := c.Clientset.CoordinationV1().Leases(l.Namespace)
	reading, cancel := request(ctx)
	defer cancel()
	if _, err := leases.Get(reading, l.Name, metav1.GetOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return nil, nil, fmt.Errorf("lease %s: %w", l.Name, err)
	}
	// Renewing outlives ctx: what is done under the lease is cleaned up first.
	holding, stop := context.WithCancel(context.WithoutCancel(ctx))
	held, lost := context.WithCancelCause(ctx)
	taken, ended := make(chan struct{}), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name}, Client: c.Clientset.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: l.Holder},
		},
		LeaseDuration: leaseLasts, RenewDeadline: leaseRenews, RetryPeriod: leaseRetry, ReleaseOnCancel: true, Name: l.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(taken) },
			OnStoppedLeading: func() { lost(ErrLeaseLost) },
			OnNewLeader: func(holder string) {
				if holder != l.Holder && holder != "" && l.OnWait != nil {
					l.OnWait(holder)
				}
			},
		},
	})
	if err != nil {
		stop()
		lost(err)
		return nil, nil, fmt.Errorf("lease %s: %w", l.Name, err)
	}
	go func() {
		defer close(ended)
		elector.Run(holding)
	}()
	release = func() {
		stop()
		<-ended
		c.dropLease(ctx, l)
	}
	select {
	case <-taken:
		return held, release, nil
	case <-ctx.Done():
		release()
		return nil, nil, fmt.Errorf("wait for lease %s: %w", l.Name, context.Cause(ctx))
	}
}

// dropLease deletes a lease that nobody holds: a cluster that is not ours keeps
// nothing of us. One that stays, because the cluster does not answer or somebody
// took it in this moment, does no harm.
func (c *Client) dropLease(ctx context.Context, l Lease) {
	ctx, cancel := request(context.WithoutCancel(ctx))
	defer cancel()
	leases := c.Clientset.CoordinationV1().Leases(l.Namespace)
	found, err := leases.Get(ctx, l.Name, metav1.GetOptions{})
	if err != nil || found.Spec.HolderIdentity != nil && *found.Spec.HolderIdentity != "" {
		return
	}
	_ = leases.Delete(ctx, l.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion}})
}
