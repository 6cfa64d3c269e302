package engine

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/charts"
	"labctl.dev/labctl/images"
	"labctl.dev/labctl/labs"
	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/release"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

const theLab = "model-registry"

// testEngine has all that is embedded, a state directory of its own, and no
// container engine: every command fails.
func testEngine(t *testing.T) *Engine {
	t.Helper()
	dir := t.TempDir()
	st, err := state.Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	nothing := execx.NewFake()
	cli := docker.New(nothing)
	store, err := image.New(image.Options{
		Docker: cli, Runner: nothing, Definitions: images.FS, Way: image.Home,
		WorkDir: filepath.Join(dir, "work"), LogDir: filepath.Join(dir, "logs"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(Deps{
		Catalog: catalog.New(labs.FS), Charts: charts.FS, State: st, Docker: cli, Images: store,
		Log: slog.New(slog.DiscardHandler), ClusterName: "labctl",
	})
}

func TestPlan(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	p, err := e.plan(t.Context(), theLab, Target{})
	if err != nil {
		t.Fatal(err)
	}
	if p.name != theLab || p.namespace != "lab-"+theLab || p.target.Existing() || p.chart == nil {
		t.Errorf("%+v", p)
	}
	got := slices.Sorted(slices.Values(p.images))
	if diff := cmp.Diff([]string{"mlflow", "model-registry-seed", "model-server", "objectstore", "postgres", "workbench"}, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	if p.claims != 2 {
		t.Errorf("%d claims, want those of postgres and the object store", p.claims)
	}
}

func TestPlanFails(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	_, err := e.plan(t.Context(), "model-registri", Target{})
	if r := clierr.Describe(err); r.Code != clierr.CodeUsage || r.ID != "unknown-lab" || !strings.Contains(r.Error, theLab) {
		t.Errorf("%+v", r)
	}
	e.Catalog = catalog.New(fstest.MapFS{"x/lab.yaml": {Data: []byte("kind: Pod\n")}})
	_, err = e.plan(t.Context(), "x", Target{})
	if r := clierr.Describe(err); r.Code != clierr.CodeUsage || r.ID != "lab-invalid" {
		t.Errorf("%+v", r)
	}
}

// TestImageUsers holds that every lab's images have a definition.
func TestImageUsers(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	users, err := e.imageUsers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{theLab, "retraining"}, users["mlflow"]); diff != "" {
		t.Errorf("labs of mlflow (-want +got):\n%s", diff)
	}
	for name := range users {
		if !slices.Contains(e.Images.Names(), name) {
			t.Errorf("image %s has no definition", name)
		}
	}
}

func TestImageValues(t *testing.T) {
	t.Parallel()
	want := release.Values{"global": map[string]any{"images": map[string]any{"a": "r/a:1", "b": "r/b:2"}}}
	if diff := cmp.Diff(want, imageValues(map[string]string{"a": "r/a:1", "b": "r/b:2"})); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// TestNeed: what a lab asks for comes on top of the cluster; of several labs
// the largest counts, because they need not be up together.
func TestNeed(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	one, err := e.Need(t.Context(), theLab)
	if err != nil {
		t.Fatal(err)
	}
	base := doctor.BaseNeed()
	if one.MemoryMi <= base.MemoryMi || one.CPUMilli <= base.CPUMilli || one.MemoryLimitMi < one.MemoryMi-base.MemoryMi {
		t.Errorf("%+v", one)
	}
	// No image is there, and the way is home.
	if !one.NodeImageBuild || one.DiskMi != diskBuildMi {
		t.Errorf("%+v", one)
	}
	twice, err := e.Need(t.Context(), theLab, theLab)
	if err != nil {
		t.Fatal(err)
	}
	twice.Labs = one.Labs
	if diff := cmp.Diff(one, twice); diff != "" {
		t.Errorf("of two labs (-one +two):\n%s", diff)
	}
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts:
- {name: one, context: {cluster: c, user: u}}
- {name: two, context: {cluster: c, user: u}}
`

func TestTarget(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "k.yaml")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	there := &state.Target{Kubeconfig: "/k", Context: "c", Registry: "r"}
	tests := map[string]struct {
		flags      Target
		remembered *state.Target
		want       Target
		code       int
	}{
		"the local cluster":        {},
		"what is remembered":       {remembered: there, want: Target{Kubeconfig: "/k", Context: "c", Registry: "r"}},
		"another registry there":   {flags: Target{Registry: "s"}, remembered: there, want: Target{Kubeconfig: "/k", Context: "c", Registry: "s"}},
		"a flag wins":              {flags: Target{Kubeconfig: file}, remembered: there, want: Target{Kubeconfig: file, Context: "one"}},
		"a context of a file":      {flags: Target{Kubeconfig: file, Context: "two", Registry: "s"}, want: Target{Kubeconfig: file, Context: "two", Registry: "s"}},
		"a registry for no reason": {flags: Target{Registry: "s"}, code: clierr.CodeUsage},
		"no such context":          {flags: Target{Kubeconfig: file, Context: "three"}, code: clierr.CodeFailed},
		"no such file":             {flags: Target{Kubeconfig: file + "x"}, code: clierr.CodeFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := testEngine(t)
			if tt.remembered != nil {
				if err := e.State.SetTarget(theLab, *tt.remembered); err != nil {
					t.Fatal(err)
				}
			}
			got, err := e.target(theLab, tt.flags)
			if clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if err != nil && clierr.Describe(err).Hint == "" {
				t.Errorf("no hint: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("target (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTargetString(t *testing.T) {
	t.Parallel()
	tests := map[string]Target{
		"local cluster":   {Registry: "r"},
		"/k":              {Kubeconfig: "/k"},
		"context c":       {Context: "c"},
		"context c of /k": {Kubeconfig: "/k", Context: "c"},
	}
	ids := map[string]bool{}
	for want, target := range tests {
		if got := target.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		ids[target.id()] = true
	}
	if len(ids) != len(tests) {
		t.Errorf("ids are not different: %v", ids)
	}
}

// TestLock: targets have locks of their own.
func TestLock(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	free, err := e.lock(t.Context(), Target{}, "labctl up a", ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	other, err := e.lock(t.Context(), Target{Context: "c"}, "labctl up b", ui.Discard())
	if err != nil {
		t.Fatal(err)
	}
	other()
	// The second one on the same target says whom it waits for.
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	rec := &recorder{}
	_, err = e.lock(ctx, Target{}, "labctl down a", ui.SinkFunc(func(ev ui.Event) {
		rec.Emit(ev)
		cancel(clierr.ErrInterrupted)
	}))
	if !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("error %v", err)
	}
	if len(rec.events) != 1 || !strings.Contains(rec.events[0].Text, "labctl up a") {
		t.Errorf("events %v", rec.events)
	}
}

// TestClusterSpec holds that a cluster that is there is taken as it was set up:
// neither image nor host is asked for, and here nothing could answer.
func TestClusterSpec(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	for _, phase := range []cluster.Phase{cluster.Running, cluster.Stopped} {
		spec, err := e.clusterSpec(t.Context(), cluster.State{Phase: phase})
		if err != nil {
			t.Fatalf("%s: %v", phase, err)
		}
		if spec.Name != "labctl" || spec.Image != "" || spec.Host != (cluster.Host{}) || spec.Network != NetworkName {
			t.Errorf("%s: %+v", phase, spec)
		}
	}
	if spec, err := e.clusterSpec(t.Context(), cluster.State{Phase: cluster.Absent}); err == nil {
		t.Errorf("a new cluster needs a node image, and there is none: %+v", spec)
	}
}
