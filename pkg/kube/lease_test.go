package kube_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"labctl.dev/labctl/pkg/kube"
)

func TestHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &kube.Client{Clientset: fake.NewClientset()}
		_, first, err := c.Hold(t.Context(), kube.Lease{Namespace: "n", Name: "l", Holder: "one"})
		if err != nil {
			t.Fatal(err)
		}
		// It is renewed for as long as the work takes, and others wait.
		waits := make(chan string, 10)
		why := errors.New("tired")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, why)
		defer cancel()
		if _, _, err := c.Hold(ctx, kube.Lease{Namespace: "n", Name: "l", Holder: "two", OnWait: func(h string) { waits <- h }}); !errors.Is(err, why) {
			t.Errorf("the second holder: %v", err)
		}
		if len(waits) != 1 || <-waits != "one" {
			t.Errorf("told %d times", len(waits))
		}
		first()
		first() // twice is allowed
		_, second, err := c.Hold(t.Context(), kube.Lease{Namespace: "n", Name: "l", Holder: "two"})
		if err != nil {
			t.Fatal(err)
		}
		second()
		if left, err := c.Clientset.CoordinationV1().Leases("n").List(t.Context(), metav1.ListOptions{}); err != nil || len(left.Items) > 0 {
			t.Errorf("left behind: %v, %v", left.Items, err)
		}
	})
}

// TestHoldLeavesALeaseOfAnother: it was taken over before it could be deleted.
func TestHoldLeavesALeaseOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &kube.Client{Clientset: fake.NewClientset()}
		_, first, err := c.Hold(t.Context(), kube.Lease{Namespace: "n", Name: "l", Holder: "one"})
		if err != nil {
			t.Fatal(err)
		}
		taken := make(chan func())
		go func() {
			_, second, err := c.Hold(t.Context(), kube.Lease{Namespace: "n", Name: "l", Holder: "two"})
			if err != nil {
				t.Error(err)
			}
			taken <- second
		}()
		synctest.Wait()
		first()
		second := <-taken
		first() // late
		if _, err := c.Clientset.CoordinationV1().Leases("n").Get(t.Context(), "l", metav1.GetOptions{}); err != nil {
			t.Errorf("the second holder's lease: %v", err)
		}
		second()
	})
}

// TestHoldOfAKilledProcess: its lease runs out.
func TestHoldOfAKilledProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := fake.NewClientset()
		c := &kube.Client{Clientset: set}
		var broken atomic.Bool // the elector asks from goroutines of its own
		set.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return broken.Load(), nil, errors.New("gone")
		})
		_, first, err := c.Hold(t.Context(), kube.Lease{Namespace: "n", Name: "l", Holder: "one"})
		if err != nil {
			t.Fatal(err)
		}
		broken.Store(true) // nothing is renewed, and nothing is given back
		first()
		broken.Store(false)
		begin := time.Now()
		_, second, err := c.Hold(t.Context(), kube.Lease{Namespace: "n", Name: "l", Holder: "two"})
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begin); waited < 10*time.Second || waited > time.Minute {
			t.Errorf("waited %s", waited)
		}
		second()
	})
}

// TestHoldIsLost: who can't renew must stop before the next one begins.
func TestHoldIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := fake.NewClientset()
		var broken atomic.Bool
		set.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return broken.Load(), nil, errors.New("gone")
		})
		held, release, err := (&kube.Client{Clientset: set}).Hold(t.Context(), kube.Lease{Namespace: "n", Name: "l", Holder: "one"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the time of the bubble
		synctest.Wait()
		if held.Err() != nil {
			t.Errorf("lost while it is renewed: %v", context.Cause(held))
		}
		broken.Store(true)
		time.Sleep(14 * time.Second) //nolint:forbidigo // the time of the bubble; less than a lease lasts
		synctest.Wait()
		if !errors.Is(context.Cause(held), kube.ErrLeaseLost) {
			t.Errorf("cause %v", context.Cause(held))
		}
		release()
	})
}

// TestHoldWithoutTheRight ends at once: the wait would have no end.
func TestHoldWithoutTheRight(t *testing.T) {
	t.Parallel()
	set := fake.NewClientset()
	set.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, "l", errors.New("no"))
	})
	if _, _, err := (&kube.Client{Clientset: set}).Hold(t.Context(), kube.Lease{Namespace: "n", Name: "l", Holder: "one"}); !apierrors.IsForbidden(err) {
		t.Errorf("error %v", err)
	}
}
