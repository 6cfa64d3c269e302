package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/clientcmd"

	"labctl.dev/labctl/pkg/clierr"
)

// kubeconfig is a kubeconfig for an API server at url.
func kubeconfig(url string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: kind-labctl
clusters: [{name: kind-labctl, cluster: {server: %q}}]
users: [{name: kind-labctl, user: {token: %s}}]
contexts:
- {name: kind-labctl, context: {cluster: kind-labctl, user: kind-labctl}}
- {name: other, context: {cluster: kind-labctl, user: kind-labctl, namespace: x}}
`, url, rand.Text())
}

func TestNew(t *testing.T) {
	t.Parallel()
	c, err := New(kubeconfig("http://127.0.0.1:1"), "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Config.QPS != qps || c.Config.WarningHandler == nil || !strings.HasPrefix(c.Config.UserAgent, "labctl/") || c.Context != "kind-labctl" {
		t.Errorf("%+v, context %q", c.Config, c.Context)
	}
	for name, f := range map[string]func() error{
		"junk":         func() error { _, err := New([]byte("\x00"), ""); return err },
		"empty":        func() error { _, err := New(nil, ""); return err },
		"no context":   func() error { _, err := New(kubeconfig("http://x"), "nope"); return err },
		"missing file": func() error { _, err := NewFromFile(filepath.Join(t.TempDir(), "x"), ""); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestServicePort(t *testing.T) {
	t.Parallel()
	svc := &corev1.Service{Spec: corev1.ServiceSpec{Selector: map[string]string{"a": "b"}, Ports: []corev1.ServicePort{
		{Port: 80, TargetPort: intstr.FromString("http")}, {Port: 81, TargetPort: intstr.FromInt32(8081)}, {Port: 82},
	}}}
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}}}
	for port, want := range map[int32]int32{80: 8080, 81: 8081, 82: 82} {
		target, err := servicePort(svc, port)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := containerPort(p, target); err != nil || got != want {
			t.Errorf("port %d leads to %d, %v; want %d", port, got, err, want)
		}
	}
	if _, err := servicePort(svc, 99); err == nil {
		t.Error("a port that is not there")
	}
	if _, err := servicePort(&corev1.Service{}, 80); err == nil {
		t.Error("a service without a selector")
	}
	if _, err := containerPort(&corev1.Pod{}, intstr.FromString("http")); err == nil {
		t.Error("a pod without that port")
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	c, cs := fakeClient(t)
	cs.PrependReactor("create", "selfsubjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authv1.SelfSubjectAccessReview).DeepCopy()
		r := review.Spec.ResourceAttributes
		review.Status.Allowed = r.Resource != "namespaces" && r.Subresource != "exec"
		return true, review, nil
	})
	if err := c.Require(t.Context(), []Right{{Verb: "list", Resource: "pods", Namespace: "ns"}}); err != nil {
		t.Error(err)
	}
	err := c.Require(t.Context(), LabRights("lab-x", true))
	d := clierr.Describe(err)
	want := "create namespaces in the whole cluster\ndelete namespaces in the whole cluster\nget namespaces in namespace lab-x\n" +
		"patch namespaces in namespace lab-x\nget pods/exec in namespace lab-x\ncreate pods/exec in namespace lab-x"
	if d.Code != clierr.CodeUnfit || d.Detail != want {
		t.Errorf("%+v", d)
	}
}

func TestMergeKubeconfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	linked := filepath.Join(dir, "dotfiles", "config")
	path := filepath.Join(dir, "config")
	if err := os.Mkdir(filepath.Dir(linked), 0o700); err != nil {
		t.Fatal(err)
	}
	const mine = `apiVersion: v1
kind: Config
current-context: work
clusters: [{name: work, cluster: {server: "https://work"}}]
users: [{name: me, user: {username: me}}]
contexts: [{name: work, context: {cluster: work, user: me}}]
`
	if err := os.WriteFile(linked, []byte(mine), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(linked, path); err != nil {
		t.Skip(err)
	}
	if err := MergeKubeconfig(path, kubeconfig("https://127.0.0.1:1"), "labctl-serving", "lab-serving", false); err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.CurrentContext != "work" || len(cfg.Contexts) != 2 || cfg.Contexts["labctl-serving"].Namespace != "lab-serving" {
		t.Errorf("%+v", cfg)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := MergeKubeconfig(path, kubeconfig("https://127.0.0.1:2"), "labctl-serving", "lab-serving", true); err != nil {
		t.Fatal(err)
	}
	if err := UnmergeKubeconfig(path, "labctl-serving"); err != nil {
		t.Fatal(err)
	}
	cfg, err = clientcmd.LoadFromFile(path)
	if err != nil || len(cfg.Contexts) != 1 || len(cfg.Clusters) != 1 || len(cfg.AuthInfos) != 1 || cfg.CurrentContext != "" {
		t.Errorf("%+v, %v", cfg, err)
	}
	if err := UnmergeKubeconfig(filepath.Join(dir, "none"), "x"); err != nil {
		t.Error(err)
	}
}

func TestMergeLeavesTheCurrentContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config") // a file that is not there has no current context
	for _, use := range []bool{false, true} {
		if err := MergeKubeconfig(path, kubeconfig("https://x"), "labctl", "lab-x", use); err != nil {
			t.Fatal(err)
		}
		cfg, err := clientcmd.LoadFromFile(path)
		if err != nil || cfg.Contexts["labctl"] == nil || (cfg.CurrentContext == "labctl") != use {
			t.Errorf("use %v: current context %q, %v", use, cfg.CurrentContext, err)
		}
	}
}

func TestMergeKeepsABrokenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MergeKubeconfig(path, kubeconfig("https://x"), "n", "", false); err == nil || clierr.Describe(err).Hint == "" {
		t.Errorf("error %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "{broken" {
		t.Errorf("%q, %v", raw, err)
	}
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MergeKubeconfig(path, kubeconfig("https://x"), "n", "", false); err == nil || !strings.Contains(clierr.Describe(err).Hint, ".lock") {
		t.Errorf("error %v", err)
	}
}

func TestRename(t *testing.T) {
	t.Parallel()
	out, err := Rename(kubeconfig("https://127.0.0.1:1"), "labctl", "lab-x")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.Load(out)
	if err != nil || cfg.CurrentContext != "labctl" || len(cfg.Contexts) != 1 || cfg.Contexts["labctl"].Namespace != "lab-x" {
		t.Errorf("%+v, %v", cfg, err)
	}
	if _, err := Rename([]byte("kind: Config"), "x", ""); err == nil {
		t.Error("a kubeconfig without a context")
	}
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	c, _ := fakeClient(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs", UID: "1"}})
	ctx := t.Context()
	if created, err := c.EnsureNamespace(ctx, "theirs", map[string]string{"a": "b"}, nil); err != nil || created {
		t.Errorf("existing: %v, %v", created, err)
	}
	if ns, err := c.Namespace(ctx, "theirs"); err != nil || ns.Labels["a"] != "" {
		t.Errorf("changed: %v, %v", ns, err)
	}
	if created, err := c.EnsureNamespace(ctx, "ours", map[string]string{"a": "b"}, map[string]string{"c": "d"}); err != nil || !created {
		t.Errorf("new: %v, %v", created, err)
	}
	if err := c.AnnotateNamespace(ctx, "ours", map[string]string{"c": "", "e": "f"}); err != nil {
		t.Fatal(err)
	}
	ns, err := c.Namespace(ctx, "ours")
	if err != nil || ns.Labels["a"] != "b" {
		t.Fatalf("%v, %v", ns, err)
	}
	if diff := cmp.Diff(map[string]string{"e": "f"}, ns.Annotations); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		if err := c.DeleteNamespace(ctx, "ours", nil); err != nil {
			t.Fatal(err)
		}
	}
	if ns, err := c.Namespace(ctx, "ours"); err != nil || ns != nil {
		t.Errorf("%v, %v", ns, err)
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	labelled := func(name string, change func(*corev1.Pod)) *corev1.Pod {
		p := pod(name, "x", change)
		p.Labels = map[string]string{"app": "w"}
		return p
	}
	ready := func(p *corev1.Pod) {
		running(0)(p)
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	going := metav1.NewTime(noon)
	c, _ := fakeClient(t, labelled("a", running(0)), labelled("b", ready), labelled("c", func(p *corev1.Pod) {
		ready(p)
		p.DeletionTimestamp, p.Finalizers = &going, []string{"x"}
	}))
	if p, err := c.pick(t.Context(), "ns", "", "app=w"); err != nil || p.Name != "b" {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := c.pick(t.Context(), "ns", "", "app=none"); !errors.Is(err, ErrNoPod) {
		t.Errorf("%v", err)
	}
	c, _ = fakeClient(t, labelled("a", waiting("ContainerCreating", "")))
	if _, err := c.pick(t.Context(), "ns", "", "app=w"); err == nil || !strings.Contains(err.Error(), "creating containers") {
		t.Errorf("%v", err)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	a := pod("a", "x", running(0))
	a.Labels = map[string]string{"app": "w"}
	c, _ := fakeClient(t, a, pod("other", "x", running(0)), pod("creating", "x", waiting("ContainerCreating", "")))
	var out strings.Builder
	if err := c.Logs(t.Context(), Logs{Namespace: "ns", Selector: "app=w", Tail: 5, Prefix: true}, &out); err != nil || out.String() != "[a/main] fake logs\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := c.Logs(t.Context(), Logs{Namespace: "ns", Selector: "app=none", Tail: -1}, &out); !errors.Is(err, ErrNoPod) {
		t.Errorf("%v", err)
	}
	if err := c.Logs(t.Context(), Logs{Namespace: "ns", Selector: "=;"}, &out); err == nil {
		t.Error("a bad selector")
	}
	// A follower ends with its context, and at once when its reader goes away.
	ctx, cancel := context.WithCancelCause(t.Context())
	out.Reset()
	err := c.Logs(ctx, Logs{Namespace: "ns", Follow: true, Tail: -1}, writerFunc(func(b []byte) (int, error) {
		out.Write(b)
		if strings.Count(out.String(), "\n") == 2 {
			cancel(clierr.ErrInterrupted)
		}
		return len(b), nil
	}))
	if !errors.Is(err, clierr.ErrInterrupted) || out.String() != "fake logs\nfake logs\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	closed := errors.New("closed pipe")
	if err := c.Logs(t.Context(), Logs{Namespace: "ns", Follow: true}, writerFunc(func([]byte) (int, error) { return 0, closed })); !errors.Is(err, closed) {
		t.Errorf("%v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestNamespaceWithoutTheRightToMakeOne: a student uses the one that was made for
// him, and is told where there is none.
func TestNamespaceWithoutTheRightToMakeOne(t *testing.T) {
	t.Parallel()
	c, set := fakeClient(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine"}})
	set.PrependReactor("create", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, "mine", errors.New("no"))
	})
	if created, err := c.EnsureNamespace(t.Context(), "mine", nil, nil); err != nil || created {
		t.Errorf("his own: %v, %v", created, err)
	}
	if _, err := c.EnsureNamespace(t.Context(), "other", nil, nil); !apierrors.IsForbidden(err) {
		t.Errorf("one that is not there: %v", err)
	}
}
