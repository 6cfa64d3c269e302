package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/kube/fake"
	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
)

// cluster is a fake one: releases are kept in memory, and every session sees them.
type cluster struct {
	releases *driver.Memory
	kube     kube.Interface
	exists   func(context.Context, Object) (bool, error)
}

func newCluster() *cluster {
	mem := driver.NewMemory()
	mem.SetNamespace("ns")
	return &cluster{
		releases: mem, kube: &fake.PrintingKubeClient{Out: io.Discard},
		exists: func(context.Context, Object) (bool, error) { return false, nil },
	}
}

func (c *cluster) client() *Client {
	return &Client{namespace: "ns", log: slog.New(slog.DiscardHandler), open: func() (*session, error) {
		return &session{helm: &action.Configuration{
			Releases: storage.Init(c.releases), KubeClient: c.kube,
			Capabilities: chartutil.DefaultCapabilities, Log: func(string, ...any) {},
		}, exists: c.exists}, nil
	}}
}

// put stores a revision as an earlier command would have left it.
func (c *cluster) put(t *testing.T, revision int, status helm.Status) {
	t.Helper()
	r := &helm.Release{
		Name: "demo", Namespace: "ns", Version: revision,
		Info:     &helm.Info{Status: status, LastDeployed: helmtime.Unix(1, 0)},
		Chart:    &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: "demo", Version: "0.0.1"}},
		Manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old}\n",
	}
	if err := storage.Init(c.releases).Create(r); err != nil {
		t.Fatal(err)
	}
}

type state struct {
	Revision int
	Status   Status
	Chart    string
}

// TestApply is the recovery table: what a command finds, and what is there afterwards.
func TestApply(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		found   []helm.Status
		upgrade bool
		want    state
		err     error
	}{
		{"nothing", nil, false, state{1, StatusDeployed, "0.1.0"}, nil},
		{"deployed", []helm.Status{helm.StatusDeployed}, false, state{1, StatusDeployed, "0.0.1"}, ErrDeployed},
		{"deployed, upgrade", []helm.Status{helm.StatusDeployed}, true, state{2, StatusDeployed, "0.1.0"}, nil},
		{"killed install", []helm.Status{helm.StatusPendingInstall}, false, state{1, StatusDeployed, "0.1.0"}, nil},
		{"failed install", []helm.Status{helm.StatusFailed}, false, state{1, StatusDeployed, "0.1.0"}, nil},
		{"failed install, upgrade", []helm.Status{helm.StatusFailed}, true, state{1, StatusDeployed, "0.1.0"}, nil},
		{"two failed installs", []helm.Status{helm.StatusFailed, helm.StatusFailed}, false, state{1, StatusDeployed, "0.1.0"}, nil},
		{"killed uninstall", []helm.Status{helm.StatusUninstalling}, false, state{1, StatusDeployed, "0.1.0"}, nil},
		{"uninstalled, history kept", []helm.Status{helm.StatusUninstalled}, false, state{1, StatusDeployed, "0.1.0"}, nil},
		{"killed upgrade", []helm.Status{helm.StatusDeployed, helm.StatusPendingUpgrade}, false, state{3, StatusDeployed, "0.0.1"}, nil},
		{"killed upgrade, upgrade", []helm.Status{helm.StatusDeployed, helm.StatusPendingUpgrade}, true, state{4, StatusDeployed, "0.1.0"}, nil},
		{"failed upgrade", []helm.Status{helm.StatusDeployed, helm.StatusFailed}, false, state{3, StatusDeployed, "0.0.1"}, nil},
		{"killed rollback", []helm.Status{helm.StatusDeployed, helm.StatusFailed, helm.StatusPendingRollback}, false, state{4, StatusDeployed, "0.0.1"}, nil},
		{"none deployed, one superseded", []helm.Status{helm.StatusSuperseded, helm.StatusFailed}, false, state{3, StatusDeployed, "0.0.1"}, nil},
		{"killed uninstall of an upgraded one", []helm.Status{helm.StatusSuperseded, helm.StatusUninstalling}, false, state{1, StatusDeployed, "0.1.0"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cl := newCluster()
			for i, status := range tt.found {
				cl.put(t, i+1, status)
			}
			c := cl.client()
			ch := demoChart(t, "new")
			info, err := c.Apply(t.Context(), "demo", ch, Values{}, ApplyOptions{Upgrade: tt.upgrade})
			if !errors.Is(err, tt.err) {
				t.Fatalf("error is %v, want %v", err, tt.err)
			}
			after, err := c.Status(t.Context(), "demo")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, state{after.Revision, after.Status, after.ChartVersion}); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(after, info); diff != "" {
				t.Errorf("Status (-) and Apply (+) differ:\n%s", diff)
			}
			if after.ChartVersion == "0.1.0" && after.ChartDigest != ch.Digest {
				t.Errorf("the digest %q is not that of the chart", after.ChartDigest)
			}
			// A second call changes nothing.
			again, err := c.Apply(t.Context(), "demo", ch, Values{}, ApplyOptions{})
			if !errors.Is(err, ErrDeployed) {
				t.Errorf("second call: %v", err)
			}
			if diff := cmp.Diff(after, again); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFailedUpgrade leaves a failed revision, from which the next call goes back.
func TestFailedUpgrade(t *testing.T) {
	t.Parallel()
	broken := errors.New("no space left")
	cl := newCluster()
	cl.put(t, 1, helm.StatusDeployed)
	cl.kube = &fake.FailingKubeClient{PrintingKubeClient: fake.PrintingKubeClient{Out: io.Discard}, UpdateError: broken}
	c := cl.client()
	ch := demoChart(t, "new")
	_, err := c.Apply(t.Context(), "demo", ch, nil, ApplyOptions{Upgrade: true})
	if err == nil || !strings.Contains(err.Error(), broken.Error()) {
		t.Fatalf("got %v", err)
	}
	if info, err := c.Status(t.Context(), "demo"); err != nil || info.Status != StatusFailed || info.Revision != 2 {
		t.Fatalf("got %+v, %v", info, err)
	}
	cl.kube = &fake.PrintingKubeClient{Out: io.Discard}
	info, err := c.Apply(t.Context(), "demo", ch, nil, ApplyOptions{})
	if err != nil || info.Revision != 3 || info.Status != StatusDeployed {
		t.Fatalf("got %+v, %v", info, err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	cl := newCluster()
	asked := map[string]int{}
	cl.exists = func(_ context.Context, o Object) (bool, error) {
		asked[o.GetName()]++
		return asked[o.GetName()] < 2, nil
	}
	c := cl.client()
	if err := c.Remove(t.Context(), "demo"); err != nil {
		t.Errorf("remove of nothing: %v", err)
	}
	cl.put(t, 1, helm.StatusSuperseded)
	cl.put(t, 2, helm.StatusDeployed)
	if err := c.Remove(t.Context(), "demo"); err != nil {
		t.Fatal(err)
	}
	if info, err := c.Status(t.Context(), "demo"); err != nil || info.Exists {
		t.Errorf("got %+v, %v", info, err)
	}
	if asked["old"] != 2 {
		t.Errorf("it did not wait for the objects: %v", asked)
	}
}

// TestUninstallStopsWaiting proves that a context ends the wait for an object that stays.
func TestUninstallStopsWaiting(t *testing.T) {
	t.Parallel()
	stop := errors.New("stopped by the user")
	ctx, cancel := context.WithCancelCause(t.Context())
	cl := newCluster()
	cl.exists = func(context.Context, Object) (bool, error) { cancel(stop); return true, nil }
	cl.put(t, 1, helm.StatusPendingInstall)
	_, err := cl.client().Apply(ctx, "demo", demoChart(t, "new"), nil, ApplyOptions{})
	if !errors.Is(err, stop) || !strings.Contains(err.Error(), "ConfigMap old") {
		t.Errorf("got %v", err)
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	cl := newCluster()
	c := cl.client()
	if objects, err := c.Objects(t.Context(), "demo"); err != nil || len(objects) != 0 {
		t.Errorf("objects of nothing: %v, %v", objects, err)
	}
	cl.put(t, 1, helm.StatusDeployed)
	objects, err := c.Objects(t.Context(), "demo")
	if err != nil || len(objects) != 1 || objects[0].GetName() != "old" || objects[0].GetNamespace() != "ns" {
		t.Errorf("got %v, %v", objects, err)
	}
}

// TestInstalled: an object that is put back must be what Helm put there, to the
// last newline of a text.
func TestInstalled(t *testing.T) {
	t.Parallel()
	objects, err := parse("---\n# Source: a\n---\n# Source: b\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata:\n  text: |\n    one\n"+
		"---\n# Source: a\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: other}\ndata:\n  text: |\n    two\n", "ns")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, fmt.Sprintf("%s/%s %q", o.GetNamespace(), o.GetName(), o.Object["data"].(map[string]any)["text"]))
	}
	if diff := cmp.Diff([]string{`ns/b "one\n"`, `other/a "two\n"`}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	cl := newCluster()
	cl.put(t, 1, helm.StatusDeployed)
	objects, err = cl.client().Installed(t.Context(), "demo")
	if err != nil || len(objects) != 1 {
		t.Fatalf("%v, %v", objects, err)
	}
	want := map[string]string{"meta.helm.sh/release-name": "demo", "meta.helm.sh/release-namespace": "ns"}
	if diff := cmp.Diff(want, objects[0].GetAnnotations()); diff != "" || objects[0].GetLabels()["app.kubernetes.io/managed-by"] != "Helm" {
		t.Errorf("%v (-want +got):\n%s", objects[0].GetLabels(), diff)
	}
}

func TestStatusOfNothing(t *testing.T) {
	t.Parallel()
	info, err := newCluster().client().Status(t.Context(), "demo")
	if diff := cmp.Diff(Info{Name: "demo"}, info); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestAwait lets a reader go while the cluster does not answer.
func TestAwait(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	block := make(chan struct{})
	defer close(block)
	_, err := await(ctx, func() (int, error) { <-block; return 1, nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// TestParallel installs many releases at once: Helm's configuration can't be
// shared, so each call must have its own. It is meant for the race detector.
func TestParallel(t *testing.T) {
	t.Parallel()
	cl := newCluster()
	c := cl.client()
	ch := demoChart(t, "new")
	done := make(chan error)
	for i := range 8 {
		go func() {
			_, err := c.Apply(t.Context(), "demo-"+string(rune('a'+i)), ch, Values{"a": 1}, ApplyOptions{})
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestWarningsGoToTheLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	warnings{slog.New(slog.NewTextHandler(&out, nil))}.HandleWarningHeader(299, "", "this API is old")
	if !strings.Contains(out.String(), "this API is old") {
		t.Error(out.String())
	}
}
