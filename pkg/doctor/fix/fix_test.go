package fix_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor/fix"
	"labctl.dev/labctl/pkg/doctor/host"
	"labctl.dev/labctl/pkg/internal/execx"
)

func quiet(string) {}

func failed(text string) error { return &execx.ExitError{Command: "x", Code: 1, Stderr: text} }

// fakeClock moves on when somebody sleeps.
type fakeClock struct{ t time.Time }

func (c *fakeClock) sleep(ctx context.Context, d time.Duration) error {
	c.t = c.t.Add(d)
	return ctx.Err()
}

// world is a machine whose engine answers after a number of questions.
type world struct {
	*fix.Fixer
	fake    *execx.Fake
	spawned []fix.Daemon
	asked   int
	// answersAt is the question from which on the engine answers; 0 is never.
	answersAt int
}

func newWorld(t *testing.T, files map[string]string, rules ...execx.Rule) *world {
	t.Helper()
	w := &world{Fixer: fixer(t, files)}
	rules = append(rules, execx.Rule{Prefix: "docker version", Do: func(context.Context, execx.Cmd) error {
		w.asked++
		if w.answersAt > 0 && w.asked >= w.answersAt {
			return nil
		}
		return failed("Cannot connect to the Docker daemon")
	}})
	w.fake = execx.NewFake(rules...)
	clock := &fakeClock{t: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	w.Machine.Run, w.Machine.Now, w.Sleep = w.fake, func() time.Time { return clock.t }, clock.sleep
	w.Machine.LookPath = func(n string) (string, error) {
		if slices.Contains([]string{"dockerd", "service", "systemctl"}, n) {
			return "/usr/sbin/" + n, nil
		}
		return "", os.ErrNotExist
	}
	w.Spawn = func(d fix.Daemon) (<-chan error, error) {
		w.spawned = append(w.spawned, d)
		return nil, nil
	}
	return w
}

// commands gives the commands that were run, without the questions.
func (w *world) commands() []string {
	var out []string
	for _, c := range w.fake.Calls() {
		if !strings.HasPrefix(c, "docker version") {
			out = append(out, c)
		}
	}
	return out
}

func TestStart(t *testing.T) {
	t.Parallel()
	sysv := map[string]string{"/proc/1/comm": "init", "/etc/init.d/docker": "#!/bin/sh"}
	alive := map[string]string{"/proc/1/comm": "init", "/proc/40/comm": "dockerd", "/proc/40/stat": "40 (dockerd) S 1", "/var/run/docker.pid": "40"}
	for _, tt := range []struct {
		name      string
		files     map[string]string
		rules     []execx.Rule
		answersAt int
		commands  []string
		spawned   int
		how       string
		id        string // of the error
	}{
		{name: "it runs", answersAt: 1, how: "runs already"},
		{
			name: "systemd", files: map[string]string{"/proc/1/comm": "systemd"}, answersAt: 3, how: "systemd",
			rules:    []execx.Rule{{Prefix: "systemctl reset-failed", Err: failed("not loaded")}, {Prefix: "systemctl start"}},
			commands: []string{"systemctl reset-failed docker.service docker.socket", "systemctl start docker"},
		},
		{
			name: "systemd fails", files: map[string]string{"/proc/1/comm": "systemd"}, id: "engine-cgroup",
			rules: []execx.Rule{
				{Prefix: "systemctl reset-failed"},
				{Prefix: "systemctl start", Err: failed("Job for docker.service failed")},
				{Prefix: "journalctl", Stdout: "failed to start daemon: Devices cgroup isn't mounted\n"},
			},
			commands: []string{"systemctl reset-failed docker.service docker.socket", "systemctl start docker", "journalctl -u docker -n 12 --no-pager -o cat"},
		},
		{
			name: "init script", files: sysv, answersAt: 5, how: "init script", rules: []execx.Rule{{Prefix: "service"}},
			commands: []string{"service docker start"},
		},
		{
			// It says ok and the daemon dies: only an answer counts.
			name: "init script that lies", files: sysv, answersAt: 100, how: "process of its own", spawned: 1,
			rules: []execx.Rule{{Prefix: "service"}}, commands: []string{"service docker start"},
		},
		{
			name: "init script denied", files: sysv, answersAt: 4, how: "process of its own", spawned: 1,
			rules: []execx.Rule{{Prefix: "service", Err: failed("invoke-rc.d: policy-rc.d denied execution of start.")}}, commands: []string{"service docker start"},
		},
		{name: "nothing to start it", files: map[string]string{"/proc/1/comm": "init"}, answersAt: 3, how: "process of its own", spawned: 1},
		{name: "never answers", files: map[string]string{"/proc/1/comm": "init"}, spawned: 1, id: "engine-down"},
		{name: "somebody else starts it", files: alive, answersAt: 4, how: "was being started"},
		{name: "it hangs", files: alive, id: "engine-hangs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.files, tt.rules...)
			w.answersAt = tt.answersAt
			how, err := w.Start(t.Context(), quiet)
			switch {
			case tt.id != "":
				if d := describe(err); d.ID != tt.id || d.Hint == "" || d.Code != clierr.CodeUnfit {
					t.Errorf("error %+v, want %s", d, tt.id)
				}
			case err != nil:
				t.Errorf("unexpected error: %v", err)
			case !strings.Contains(how, tt.how):
				t.Errorf("how = %q, want %q", how, tt.how)
			}
			if diff := cmp.Diff(tt.commands, w.commands()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if len(w.spawned) != tt.spawned {
				t.Errorf("spawned %v", w.spawned)
			}
		})
	}
}

func describe(err error) clierr.Report {
	if err == nil {
		return clierr.Report{}
	}
	return clierr.Describe(err)
}

// A daemon that ends at once is not waited for; its own words are the reason.
func TestStartDaemonDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"/proc/1/comm": "init"})
	w.Spawn = func(d fix.Daemon) (<-chan error, error) {
		write(t, d.Log, "old line of another day\n")
		exited := make(chan error, 1)
		exited <- errors.New("exit status 1")
		return exited, appendTo(d.Log, "failed to create NAT chain DOCKER: iptables failed: iptables -t nat\n")
	}
	_, err := w.Start(t.Context(), quiet)
	d := describe(err)
	if d.ID != "engine-iptables" || !strings.Contains(d.Detail, "NAT chain") || w.asked > 5 {
		t.Errorf("asked %d times: %+v", w.asked, d)
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func TestStartInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"/proc/1/comm": "init"})
	ctx, cancel := context.WithCancelCause(t.Context())
	w.Sleep = func(ctx context.Context, _ time.Duration) error {
		cancel(clierr.ErrInterrupted)
		return context.Cause(ctx)
	}
	if _, err := w.Start(ctx, quiet); !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("error = %v", err)
	}
}

func TestCleanStale(t *testing.T) {
	t.Parallel()
	const pid, cpid = "/var/run/docker.pid", "/var/run/docker/containerd/containerd.pid"
	for _, tt := range []struct {
		name  string
		files map[string]string
		left  []string
	}{
		{"nothing there", nil, nil},
		{"dead", map[string]string{pid: "40\n", cpid: "41"}, nil},
		{"number of another process", map[string]string{pid: "40", "/proc/40/comm": "bash"}, nil},
		{"zombie", map[string]string{pid: "40", "/proc/40/comm": "dockerd", "/proc/40/stat": "40 (dockerd) Z 1 40"}, nil},
		{
			"containerd outlived the engine",
			map[string]string{pid: "40", cpid: "41", "/proc/41/comm": "containerd", "/proc/41/stat": "41 (containerd) S 1 41"},
			[]string{cpid},
		},
		{"garbage", map[string]string{pid: "", cpid: "x/../1"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := fixer(t, tt.files)
			if err := x.CleanStale(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, p := range []string{pid, cpid} {
				if x.Machine.Exists(p) {
					left = append(left, p)
				}
			}
			if diff := cmp.Diff(tt.left, left); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}

// A socket that nobody listens on goes; one that is served stays.
func TestCleanStaleSocket(t *testing.T) {
	t.Parallel()
	for _, served := range []bool{true, false} {
		t.Run(fmt.Sprintf("served=%v", served), func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "l") // a socket's path is short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			x := fixer(t, nil)
			x.Machine.Root, x.Paths.ContainerdSock = dir, "/c.sock"
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/c.sock", Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			if served {
				t.Cleanup(func() { _ = l.Close() })
			} else if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if err := x.CleanStale(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
			if got := x.Machine.Exists("/c.sock"); got != served {
				t.Errorf("socket there = %v", got)
			}
		})
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	const apt = "apt-get -q -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "
	const update = apt + "update"
	install := func(p string) string { return apt + "install -y --no-install-recommends " + p }
	t.Run("with an optional package", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil, execx.Rule{Prefix: "apt-cache show --no-all-versions docker-cli", Stdout: "Package: docker-cli\n"}, execx.Rule{Prefix: "apt-get"})
		got, err := w.Install(t.Context(), []string{"docker.io"}, []string{"docker-cli"}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"docker.io", "docker-cli"}, got); diff != "" {
			t.Error(diff)
		}
		want := []string{update, "apt-cache show --no-all-versions docker-cli", install("docker.io docker-cli")}
		if diff := cmp.Diff(want, w.commands()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("package manager was killed", func(t *testing.T) {
		t.Parallel()
		tries := 0
		w := newWorld(t, nil,
			execx.Rule{Prefix: update},
			execx.Rule{Prefix: "dpkg --configure -a"},
			execx.Rule{Prefix: apt + "install", Do: func(context.Context, execx.Cmd) error {
				if tries++; tries == 1 {
					return failed("E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.")
				}
				return nil
			}})
		if _, err := w.Install(t.Context(), []string{"gcc"}, nil, quiet); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{update, install("gcc"), "dpkg --configure -a", install("gcc")}, w.commands()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("no network", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil, execx.Rule{Prefix: "apt-get", Do: func(_ context.Context, c execx.Cmd) error {
			_, _ = fmt.Fprint(c.Stdout, "Reading lists\nErr:1 Temporary failure in name resolution\n")
			return failed("")
		}})
		var said []string
		_, err := w.Install(t.Context(), []string{"gcc"}, nil, func(s string) { said = append(said, s) })
		if d := describe(err); d.ID != "network" || !strings.Contains(d.Detail, "name resolution") || !strings.HasPrefix(d.Error, "install gcc: ") {
			t.Errorf("%+v", d)
		}
		if !slices.Contains(said, "Reading lists") {
			t.Errorf("said %q", said)
		}
	})
}

func TestInotify(t *testing.T) {
	t.Parallel()
	x := fixer(t, map[string]string{host.InotifyInstances: "128\n", host.InotifyWatches: "1048576\n"})
	files, err := x.Inotify(512, 524288)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/etc/sysctl.d/60-labctl.conf"}, files); diff != "" {
		t.Error(diff)
	}
	if a, b := strings.TrimSpace(read(t, x.Machine.Path(host.InotifyInstances))), strings.TrimSpace(read(t, x.Machine.Path(host.InotifyWatches))); a != "512" || b != "1048576" {
		t.Errorf("instances %s, watches %s: only what is low is raised", a, b)
	}
	conf := read(t, x.Machine.Path("/etc/sysctl.d/60-labctl.conf"))
	for _, want := range []string{"fs.inotify.max_user_instances = 512\n", "fs.inotify.max_user_watches = 1048576\n"} {
		if !strings.Contains(conf, want) {
			t.Errorf("%q lacks %q", conf, want)
		}
	}
}
