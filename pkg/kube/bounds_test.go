package kube

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"labctl.dev/labctl/pkg/clierr"
)

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

// These tests run on a clock of their own: minutes take no time.

func TestWaitAPIEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := fakeClient(t)
		cs, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1", Transport: refusing{}, QPS: -1})
		if err != nil {
			t.Fatal(err)
		}
		c.Clientset = cs
		start := time.Now()
		r := clierr.Describe(c.WaitAPI(t.Context()))
		if r.ID != "cluster-unreachable" || r.Hint == "" || !strings.Contains(r.Error, "does not answer after 3m0s") {
			t.Errorf("%+v", r)
		}
		if d := time.Since(start); d < apiTime || d > apiTime+10*time.Second {
			t.Errorf("ended after %s", d)
		}
	})
}

func TestDeleteNamespaceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, cs := fakeClient(t, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: "lab-x", UID: "1"},
			Status: corev1.NamespaceStatus{Conditions: []corev1.NamespaceCondition{{
				Type: corev1.NamespaceFinalizersRemaining, Status: corev1.ConditionTrue, Message: "example.com/guard in 1 resource instances",
			}}},
		})
		cs.PrependReactor("delete", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, nil })
		start := time.Now()
		err := c.DeleteNamespace(t.Context(), "lab-x", nil)
		r := clierr.Describe(err)
		if r.ID != "namespace-stuck" || !strings.Contains(r.Error, "example.com/guard") || !strings.Contains(r.Hint, "kubectl describe namespace lab-x") {
			t.Errorf("%+v", r)
		}
		if d := time.Since(start); d != goneTime {
			t.Errorf("ended after %s", d)
		}
	})
}

func TestWaitReadyEndsWhenNothingMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, rs := deployment("app", false)
		c, _ := fakeClient(t, d, rs, pod("app-1", rs.UID, running(0)))
		start := time.Now()
		err := c.WaitReady(t.Context(), "ns", []unstructured.Unstructured{object("apps/v1", "Deployment", "app")}, func(WorkloadStatus) {})
		r := clierr.Describe(err)
		if r.ID != idTimeout || !strings.Contains(r.Detail, "deployment/app: runs, not ready") || r.Hint == "" {
			t.Errorf("%+v", r)
		}
		if d := time.Since(start); d < idleTime || d > idleTime+time.Minute {
			t.Errorf("ended after %s", d)
		}
	})
}
