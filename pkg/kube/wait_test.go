package kube

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"labctl.dev/labctl/pkg/clierr"
)

func fakeClient(t *testing.T, objects ...runtime.Object) (*Client, *fake.Clientset) {
	t.Helper()
	cs := fake.NewClientset(objects...)
	return &Client{Clientset: cs, log: slog.New(slog.NewTextHandler(t.Output(), nil)), now: time.Now}, cs
}

func object(apiVersion, kind, name string) unstructured.Unstructured {
	var u unstructured.Unstructured
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetName(name)
	return u
}

func TestWorkloads(t *testing.T) {
	t.Parallel()
	got := workloads([]unstructured.Unstructured{
		object("batch/v1", "Job", "seed"), object("v1", "Service", "x"), object("apps/v1", "Deployment", "b"), object("apps/v1", "Deployment", "a"),
		object("v1", "PersistentVolumeClaim", "c"), object("apps/v1", "StatefulSet", "s"), object("apps/v1", "Deployment", "a"),
		object("example.com/v1", "Job", "notours"), object("v1", "Secret", "y"),
	})
	want := []ref{{"PersistentVolumeClaim", "c"}, {"StatefulSet", "s"}, {"Deployment", "a"}, {"Deployment", "b"}, {"Job", "seed"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(ref{})); diff != "" {
		t.Error(diff)
	}
}

func TestWaitReady(t *testing.T) {
	t.Parallel()
	d, rs := deployment("app", false)
	p := pod("app-1", rs.UID, running(0))
	c, cs := fakeClient(t, d, rs, p)
	var seen []string
	emit := func(w WorkloadStatus) {
		seen = append(seen, w.String()+": "+w.Message)
		if len(seen) > 1 {
			return
		}
		go func() {
			done, _ := deployment("app", true)
			if _, err := cs.AppsV1().Deployments("ns").Update(context.WithoutCancel(t.Context()), done, metav1.UpdateOptions{}); err != nil {
				t.Error(err)
			}
		}()
	}
	if err := c.WaitReady(t.Context(), "ns", []unstructured.Unstructured{object("apps/v1", "Deployment", "app"), object("v1", "Secret", "x")}, emit); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"deployment/app: runs, not ready", "deployment/app: ready"}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestWaitReadyOfNothing(t *testing.T) {
	t.Parallel()
	c, cs := fakeClient(t)
	if err := c.WaitReady(t.Context(), "ns", []unstructured.Unstructured{object("v1", "Secret", "x")}, nil); err != nil {
		t.Fatal(err)
	}
	if rows, err := c.Snapshot(t.Context(), "ns", nil); err != nil || rows != nil {
		t.Errorf("%v, %v", rows, err)
	}
	if n := len(cs.Actions()); n != 0 {
		t.Errorf("%d requests for nothing", n)
	}
}

func TestWaitReadyGivesUp(t *testing.T) {
	t.Parallel()
	d, rs := deployment("app", false)
	p := pod("app-1", rs.UID, crashing(1, "OOMKilled"))
	e := event(p, 1, "BackOff", "restarting failed container\nmore")
	e.Type = corev1.EventTypeWarning
	c, _ := fakeClient(t, d, rs, p, e)
	err := c.WaitReady(t.Context(), "ns", []unstructured.Unstructured{object("apps/v1", "Deployment", "app")}, func(WorkloadStatus) {})
	r := clierr.Describe(err)
	if r.ID != idMemory || !strings.Contains(r.Error, "deployment/app") || !strings.Contains(r.Error, "OOMKilled") {
		t.Errorf("error %+v", r)
	}
	for _, want := range []string{"app-1/main", "fake logs", "BackOff: restarting failed container"} {
		if !strings.Contains(r.Detail, want) {
			t.Errorf("detail lacks %q:\n%s", want, r.Detail)
		}
	}
	if !strings.Contains(r.Hint, "kubectl describe pod app-1 --namespace ns") {
		t.Errorf("hint %q", r.Hint)
	}
}

func TestWaitReadyEnds(t *testing.T) {
	t.Parallel()
	objects := []unstructured.Unstructured{object("apps/v1", "Deployment", "app")}
	c, _ := fakeClient(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	err := c.WaitReady(ctx, "ns", objects, func(WorkloadStatus) { cancel(clierr.ErrInterrupted) })
	if !errors.Is(err, clierr.ErrInterrupted) || clierr.Code(err) != clierr.CodeInterrupted {
		t.Errorf("interrupted: %v", err)
	}
	err = unfinished(context.DeadlineExceeded, []WorkloadStatus{{Kind: "Deployment", Name: "app", Message: "creating containers"}, {Kind: "Job", Name: "x", Ready: true}})
	r := clierr.Describe(err)
	if r.ID != idTimeout || !strings.Contains(r.Error, "1 of 2 workloads") || !strings.Contains(r.Detail, "deployment/app: creating containers") {
		t.Errorf("too late: %+v", r)
	}
}

func TestWaitReadyWithoutRights(t *testing.T) {
	t.Parallel()
	c, cs := fakeClient(t)
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no"))
	deny := func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden }
	cs.PrependReactor("list", "pods", deny)
	cs.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) { return true, nil, forbidden })
	err := c.WaitReady(t.Context(), "ns", []unstructured.Unstructured{object("apps/v1", "Deployment", "app")}, func(WorkloadStatus) {})
	if !apierrors.IsForbidden(err) || clierr.Describe(err).Hint == "" {
		t.Errorf("error %v", err)
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	d, rs := deployment("app", true)
	broken, brokenRS := deployment("broken", false)
	c, _ := fakeClient(t, d, rs, pod("app-1", rs.UID, running(2)), broken, brokenRS, pod("broken-1", brokenRS.UID, crashing(2, "Error")))
	rows, err := c.Snapshot(t.Context(), "ns", []unstructured.Unstructured{object("apps/v1", "Deployment", "app"), object("apps/v1", "Deployment", "broken"), object("apps/v1", "Deployment", "gone")})
	if err != nil || len(rows) != 3 {
		t.Fatalf("%v, %v", rows, err)
	}
	if !rows[0].Ready || rows[0].Restarts != 2 || !rows[1].Failed || rows[2].Ready {
		t.Errorf("%+v", rows)
	}
}
