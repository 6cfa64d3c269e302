package doctor_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/doctor/fix"
	"labctl.dev/labctl/pkg/doctor/host"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/ui"
)

// events collects what was told.
type events struct {
	mu   sync.Mutex
	list []ui.Event
}

func (e *events) Emit(ev ui.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

func (e *events) of(kind ui.Kind) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, ev := range e.list {
		if ev.Kind == kind {
			out = append(out, strings.TrimSpace(ev.Step+" "+ev.Text))
		}
	}
	return out
}

func scenarioNamed(t *testing.T, name string) scenario {
	t.Helper()
	for _, s := range scenarios() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no scenario %q", name)
	return scenario{}
}

// TestFixFreshMachine repairs a machine without an engine and without a
// capability: the runtime has to be there before anything may start the engine.
func TestFixFreshMachine(t *testing.T) {
	t.Parallel()
	var (
		mu      sync.Mutex
		order   []string
		started bool
	)
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	b := scenarioNamed(t, "fresh-sandbox").box.with(func(b *box) {
		b.files[host.InotifyInstances] = "128"
		b.rules = []execx.Rule{
			{Prefix: "apt-cache"},
			{Prefix: "apt-get", Do: func(_ context.Context, c execx.Cmd) error { note(c.Name + " " + c.Args[len(c.Args)-1]); return nil }},
			{Prefix: "docker version", Do: func(context.Context, execx.Cmd) error {
				mu.Lock()
				defer mu.Unlock()
				if started {
					return nil
				}
				return &execx.ExitError{Command: "docker", Code: 1, Stderr: "Cannot connect"}
			}},
		}
	})
	m := b.machine(t)
	m.LookPath = func(name string) (string, error) {
		if name == "dockerd" && len(order) > 1 || name == "apt-get" {
			return "/usr/bin/" + name, nil
		}
		return "", context.Canceled
	}
	x := fix.Local(m, m.Path("/state"))
	x.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	x.Spawn = func(d fix.Daemon) (<-chan error, error) {
		if !m.Exists("/etc/docker/daemon.json") {
			t.Error("the engine starts before its runtime is configured")
		}
		note("spawn " + d.Name)
		mu.Lock()
		defer mu.Unlock()
		started = true
		return nil, nil
	}
	d := doctor.New(doctor.Deps{Machine: m, Fixer: x})
	var ev events
	fixed, err := d.Fix(t.Context(), d.Check(t.Context(), need(), nil), &ev)
	if err != nil {
		t.Fatal(err)
	}
	want := []doctor.Fixed{
		{ID: doctor.IDCapabilities, Text: "containers ask for what the machine has; left out: CAP_SYS_RESOURCE", Files: []string{"/usr/local/lib/labctl/runc-bounded", "/etc/docker/daemon.json"}},
		{ID: doctor.IDEngineMissing, Text: "installed docker.io"},
		{ID: doctor.IDEngineDown, Text: "started as a process of its own, log " + m.Path("/state") + "/engine.log"},
		{ID: doctor.IDInotifyInstances, Text: "raised, also after a reboot", Files: []string{"/etc/sysctl.d/60-labctl.conf"}},
	}
	if diff := cmp.Diff(want, fixed); diff != "" {
		t.Errorf("fixed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"apt-get update", "apt-get docker.io", "spawn /usr/bin/dockerd"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if got := ev.of(ui.StepDone); len(got) != len(want) {
		t.Errorf("steps done: %q", got)
	}
}

// A running engine is never changed, whatever is wrong with it.
func TestFixLeavesRunningEngine(t *testing.T) {
	t.Parallel()
	b := scenarioNamed(t, "capability-missing-running").box.with(func(b *box) { b.euid = 0 })
	m := b.machine(t)
	d := newDoctor(m)
	fixed, err := d.Fix(t.Context(), d.Check(t.Context(), need(), nil), ui.Discard())
	if err != nil || len(fixed) != 0 {
		t.Errorf("fixed %v, error %v", fixed, err)
	}
	if m.Exists("/etc/docker/daemon.json") || m.Exists("/usr/local/lib/labctl/runc-bounded") {
		t.Error("files were written")
	}
}

func TestFixBrokenConfig(t *testing.T) {
	t.Parallel()
	b := scenarioNamed(t, "client-without-engine").box.with(func(b *box) { b.files["/etc/docker/daemon.json"] = `{"debug": true,}` })
	m := b.machine(t)
	d := newDoctor(m)
	var ev events
	_, err := d.Fix(t.Context(), d.Check(t.Context(), need(), nil), &ev)
	if err == nil || clierr.Describe(err).ID != doctor.IDEngineConfig {
		t.Errorf("error %v", err)
	}
	if got := ev.of(ui.StepFail); len(got) != 1 {
		t.Errorf("failed steps: %q", got)
	}
}

func TestFixWithoutRoot(t *testing.T) {
	t.Parallel()
	t.Run("a failure", func(t *testing.T) {
		t.Parallel()
		d := newDoctor(scenarioNamed(t, "engine-down").box.machine(t))
		_, err := d.Fix(t.Context(), d.Check(t.Context(), need(), nil), ui.Discard())
		if err == nil || clierr.Code(err) != clierr.CodeUnfit || !strings.Contains(clierr.Describe(err).Hint, "sudo") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("warnings only", func(t *testing.T) {
		t.Parallel()
		d := newDoctor(scenarioNamed(t, "low-inotify").box.machine(t))
		var ev events
		fixed, err := d.Fix(t.Context(), d.Check(t.Context(), need(), nil), &ev)
		if err != nil || fixed != nil || len(ev.of(ui.Note)) != 1 {
			t.Errorf("fixed %v, error %v, events %v", fixed, err, ev.list)
		}
	})
	t.Run("nothing to do", func(t *testing.T) {
		t.Parallel()
		d := newDoctor(laptop().machine(t))
		if fixed, err := d.Fix(t.Context(), d.Check(t.Context(), need(), nil), ui.Discard()); err != nil || fixed != nil {
			t.Errorf("fixed %v, error %v", fixed, err)
		}
	})
}
