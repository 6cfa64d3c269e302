package practice

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/receipt"
	"labctl.dev/labctl/pkg/ui"
)

// onCluster is a world whose lab has a namespace.
type onCluster struct {
	*world
	client *kube.Client
}

func (w onCluster) Join(ctx context.Context, name string, t engine.Target) (*engine.Session, error) {
	s, err := w.world.Join(ctx, name, t)
	if err == nil {
		s.Client, s.Files = w.client, fstest.MapFS{"lab.yaml": {Data: []byte("x")}, "tasks/one.md": {Data: []byte("y")}}
	}
	return s, err
}

// versioned is a fake whose version is asked for over HTTP, as the real one's.
type versioned struct {
	kubernetes.Interface
	discovery discovery.DiscoveryInterfaces
}

func (v versioned) Discovery() discovery.DiscoveryInterfaces { return v.discovery }

func serveVersion(t *testing.T) discovery.DiscoveryInterfaces {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"gitVersion": "v1.37.2"}`)
	}))
	t.Cleanup(srv.Close)
	d, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func by(manager string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "lab-x", Name: "of-" + strings.ToLower(manager), ManagedFields: []metav1.ManagedFieldsEntry{{Manager: manager}}}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	client := &kube.Client{Clientset: versioned{discovery: serveVersion(t), Interface: fake.NewClientset(
		&corev1.ConfigMap{ObjectMeta: by("kubectl-edit"), Data: map[string]string{"a": "1"}},
		&corev1.ConfigMap{ObjectMeta: by("Helm")}, &corev1.ConfigMap{ObjectMeta: by("solution")}, &corev1.ConfigMap{ObjectMeta: by("kube-controller-manager")},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "lab-x", Name: "db"}, Data: map[string][]byte{"password": []byte("it does not hold")}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "lab-x", Name: "p"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Image: "registry.example.com/labs/mlflow:abc", ImageID: "registry.example.com/labs/mlflow@sha256:12"},
		}}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "secret-host"}},
	)}}
	p.deps.Engine = onCluster{w, client}
	w.lab.Seed = &lab.Seed{Value: 7}
	w.holds["X1a"], w.holds["X1b"] = true, true
	if _, err := p.Check(t.Context(), CheckOptions{}, ui.Discard()); err != nil {
		t.Fatal(err)
	}
	w.holds["X1a"] = false // seen by the receipt's own look
	i, err := p.Receipt(t.Context(), ReceiptOptions{Name: "Ada"}, ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.VerifyReceipt(i.Content)
	if err != nil || !v.Own || v.Chain != receipt.ChainFirst {
		t.Fatalf("%+v, %v", v, err)
	}
	d := v.Document
	if d.Name != "Ada" || d.Score.Earned != 10 || d.Lab.Seed != 7 || d.Lab.Installation != "i" || !strings.HasPrefix(d.Lab.Digest, "sha256:") || d.Cluster.Nodes != 1 || d.Cluster.Kubernetes != "v1.37.2" {
		t.Errorf("%+v", d)
	}
	one := d.Tasks[0]
	if !one.Regressed || one.Earned != 10 || one.Now != 6 || one.Checks[0].Status != "fail" || one.Checks[0].FirstPassed.IsZero() || one.Checks[1].Points != 6 {
		t.Errorf("task %+v", one)
	}
	if got := one.Checks[0].Message; got != "[redacted]" {
		t.Errorf("the secret is there: %q", got)
	}
	if c := d.Tasks[1].Checks[1]; c.Status != "open" || !c.Active {
		t.Errorf("a check that never ran: %+v", c)
	}
	if diff := cmp.Diff([]receipt.Image{{Name: "mlflow:abc", Digest: "sha256:12"}}, d.Lab.Images); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	if len(d.Artefacts) != 1 || d.Artefacts[0].Object != "ConfigMap/of-kubectl-edit" {
		t.Errorf("artefacts %+v", d.Artefacts)
	}
	for _, word := range []string{"secret-host", "registry.example.com"} {
		if strings.Contains(string(i.Content), word) {
			t.Errorf("the receipt names %s", word)
		}
	}
	next, err := p.Receipt(t.Context(), ReceiptOptions{}, ui.Discard())
	if err != nil || next.Document.Number != 2 || next.Document.Name != "" {
		t.Errorf("%+v, %v", next, err)
	}
}

func TestReceiptOfNothing(t *testing.T) {
	t.Parallel()
	p, w := practising(t)
	// Checks that only have trouble say nothing.
	w.lab.Tasks = slices.DeleteFunc(w.lab.Tasks, func(lab.Task) bool { return true })
	if _, err := p.Receipt(t.Context(), ReceiptOptions{}, ui.Discard()); err == nil {
		t.Error("a receipt of nothing")
	}
}
