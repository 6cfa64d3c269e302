//go:build e2e && linux

package fix_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/doctor/fix"
	"labctl.dev/labctl/pkg/doctor/host"
	"labctl.dev/labctl/pkg/internal/execx"
)

// engine is a second engine beside the machine's own, with every path its own.
type engine struct {
	*fix.Fixer
	dir string
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	m := host.Local()
	if m.Euid() != 0 || m.Find("dockerd") == "" || m.Find("busybox") == "" || m.Find("unshare") == "" {
		t.Skip("needs root, dockerd, unshare and a static busybox")
	}
	// Not t.TempDir: the path of a socket may have 108 bytes only.
	dir, err := os.MkdirTemp("/tmp", "labctl-e")
	if err != nil {
		t.Fatal(err)
	}
	x := fix.Local(m, dir)
	socket := "unix://" + dir + "/s"
	x.Paths.DaemonJSON, x.Paths.RuntimeScript = dir+"/daemon.json", dir+"/runc-bounded"
	x.Paths.DockerPid, x.Paths.ContainerdPid, x.Paths.ContainerdSock = dir+"/pid", dir+"/x/containerd/containerd.pid", dir+"/none.sock"
	x.ClientArgs = []string{"-H", socket}
	x.EngineArgs = []string{
		"--host", socket, "--data-root", dir + "/data", "--exec-root", dir + "/x", "--pidfile", x.Paths.DockerPid, "--config-file", x.Paths.DaemonJSON,
		"--bridge", "none", "--iptables=false", "--ip-forward=false",
	}
	if err := os.WriteFile(x.Paths.DaemonJSON, []byte(`{"labels": ["a=b"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	// A network namespace of its own: an engine rewrites the firewall, and with
	// --bridge none it even deletes the bridge docker0 of the machine's engine.
	spawn := x.Spawn
	x.Spawn = func(d fix.Daemon) (<-chan error, error) {
		d.Args = append([]string{"--net", d.Name}, d.Args...)
		d.Name = "unshare"
		return spawn(d)
	}
	e := &engine{Fixer: x, dir: dir}
	t.Cleanup(func() {
		e.kill(t, syscall.SIGTERM, "dockerd")
		e.kill(t, syscall.SIGKILL, "dockerd", "containerd", "containerd-shim")
		unmount(dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return e
}

func unmount(dir string) {
	b, _ := os.ReadFile("/proc/self/mounts")
	for _, line := range slices.Backward(strings.Split(string(b), "\n")) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			_ = syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
}

// kill ends the processes of this engine (their command lines name its
// directory) and waits until they are gone.
func (e *engine) kill(t *testing.T, sig syscall.Signal, comms ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left := 0
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, d := range dirs {
			cmdline, _ := os.ReadFile(d + "/cmdline")
			comm, _ := os.ReadFile(d + "/comm")
			for _, c := range comms {
				if strings.HasPrefix(string(comm), c) && bytes.Contains(cmdline, []byte(e.dir)) {
					pid, _ := strconv.Atoi(filepath.Base(d))
					_ = syscall.Kill(pid, sig)
					left++
				}
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%v do not end after %v", comms, sig)
			return
		}
		_ = e.Sleep(t.Context(), 50*time.Millisecond)
	}
}

func (e *engine) docker(t *testing.T, in []byte, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := execx.Output(ctx, execx.Local{}, execx.Cmd{Name: "docker", Args: append(append([]string{}, e.ClientArgs...), args...), Stdin: bytes.NewReader(in)})
	if err != nil {
		t.Fatalf("docker %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

func (e *engine) start(t *testing.T) string {
	t.Helper()
	how, err := e.Start(t.Context(), func(s string) { t.Log(s) })
	if err != nil {
		log, _ := os.ReadFile(e.Paths.EngineLog)
		t.Fatalf("start: %v\n%s", err, log)
	}
	t.Log(how)
	return how
}

func busyboxImage(t *testing.T) []byte {
	t.Helper()
	bin, err := os.ReadFile(host.Local().Find("busybox"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "busybox", Mode: 0o755, Size: int64(len(bin))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bin); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEngineRealStart goes through the life of an engine: first start with the
// bounded runtime, killed with a container running, started again over what
// the kill left.
func TestEngineRealStart(t *testing.T) {
	e := newEngine(t)
	const sysResource = 24
	if _, err := e.Runtime([]int{sysResource}); err != nil {
		t.Fatal(err)
	}
	e.start(t)
	if got := e.docker(t, nil, "info", "-f", "{{.DefaultRuntime}} {{.Labels}}"); got != "labctl-bounded [a=b]" {
		t.Errorf("default runtime and foreign setting: %q", got)
	}
	if how := e.start(t); how != "it runs already" {
		t.Errorf("second start: %q", how)
	}
	e.docker(t, busyboxImage(t), "import", "-", "bb")

	caps := e.docker(t, nil, "run", "--rm", "--privileged", "--network", "none", "bb", "/busybox", "grep", "CapBnd", "/proc/self/status")
	bits, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(caps, "CapBnd:")), 16, 64)
	if err != nil || bits&(1<<sysResource) != 0 || bits&(1<<21) == 0 {
		t.Errorf("privileged container has %q (%v)", caps, err)
	}
	e.docker(t, nil, "run", "-d", "--name", "box", "--privileged", "--network", "none", "bb", "/busybox", "sleep", "100000")
	if got := e.docker(t, nil, "exec", "--privileged", "box", "/busybox", "grep", "CapBnd", "/proc/self/status"); got != caps {
		t.Errorf("exec has %q, run has %q", got, caps)
	}

	pid, err := strconv.Atoi(e.docker(t, nil, "inspect", "-f", "{{.State.Pid}}", "box"))
	if err != nil || pid < 2 {
		t.Fatalf("pid of the container: %d (%v)", pid, err)
	}
	e.kill(t, syscall.SIGKILL, "dockerd", "containerd", "containerd-shim")
	_ = syscall.Kill(pid, syscall.SIGKILL)
	// The numbers go to other processes: the engine alone would refuse to start.
	me := []byte(strconv.Itoa(os.Getpid()))
	for _, p := range []string{e.Paths.DockerPid, e.Paths.ContainerdPid} {
		if err := os.WriteFile(p, me, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.start(t)
	e.docker(t, nil, "start", "box")
	if got := e.docker(t, nil, "inspect", "-f", "{{.State.Running}}", "box"); got != "true" {
		t.Errorf("container after the kill: running=%s", got)
	}
	e.docker(t, nil, "rm", "-f", "box")
}

// TestEngineRealRefusal gives the engine's own words when it can't start.
func TestEngineRealRefusal(t *testing.T) {
	e := newEngine(t)
	if err := os.WriteFile(e.Paths.DaemonJSON, []byte(`{"storage-driver": "nonsense"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err := e.Start(t.Context(), func(string) {})
	if err == nil {
		t.Fatal("started")
	}
	t.Logf("%v", err)
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %s: a daemon that ended is not waited for", took)
	}
}
