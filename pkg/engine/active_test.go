package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	authv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/ui"
)

// TestHoldActive: labs of one cluster take turns where the user may see to that,
// and only the labctls of one lab do where he may not.
func TestHoldActive(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ everywhere, waits bool }{
		"an administrator":           {everywhere: true, waits: true},
		"a learner in one namespace": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				set := fake.NewClientset()
				set.PrependReactor("create", "selfsubjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
					review := a.(clienttesting.CreateAction).GetObject().(*authv1.SelfSubjectAccessReview) //nolint:forcetypeassert // that is what is created
					review.Status.Allowed = tc.everywhere || review.Spec.ResourceAttributes.Namespace != clusterLeases
					return true, review, nil
				})
				session := func(namespace string) *Session {
					return &Session{Client: &kube.Client{Clientset: set}, Namespace: namespace}
				}
				_, first, err := session("lab-a").HoldActive(t.Context(), ui.Discard())
				if err != nil {
					t.Fatal(err)
				}
				why := errors.New("tired")
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, why)
				defer cancel()
				_, second, err := session("lab-b").HoldActive(ctx, ui.Discard())
				if tc.waits != errors.Is(err, why) {
					t.Errorf("the other lab: %v", err)
				}
				if err == nil {
					second()
				}
				first()
				left, err := set.CoordinationV1().Leases(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
				if err != nil || len(left.Items) > 0 {
					t.Errorf("left behind: %v, %v", left.Items, err)
				}
			})
		})
	}
}
