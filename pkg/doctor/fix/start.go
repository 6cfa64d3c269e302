package fix

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor/known"
	"labctl.dev/labctl/pkg/internal/execx"
)

const (
	pollEvery = 250 * time.Millisecond
	// serviceGrace is how long an engine that the service manager started may
	// take until it is given up in favour of starting it ourselves.
	serviceGrace = 20 * time.Second
	askTimeout   = 5 * time.Second
)

// Start brings the engine up and waits until it answers. It tries what the
// machine is made for first (systemd, then the init script) and else starts
// the daemon itself, in a session of its own, so that it outlives labctl.
func (x *Fixer) Start(ctx context.Context, say Progress) (how string, err error) {
	if x.answers(ctx) == nil {
		return "it runs already", nil
	}
	if x.daemonAlive() {
		// Somebody is starting it; a second daemon would only fight with it.
		say("an engine process runs; waiting for it to answer")
		if err := x.await(ctx, say, x.Timeout, nil); err == nil || ctx.Err() != nil {
			return "it was being started", err
		}
		if x.daemonAlive() {
			return "", clierr.Unfit("engine-hangs", "stop the engine's process and try again", "a dockerd process runs, but does not answer within %s", x.Timeout)
		}
	}
	if err := x.CleanStale(ctx, say); err != nil {
		return "", err
	}
	m := x.Machine
	if len(x.EngineArgs) == 0 {
		if x.systemd() {
			return "started by systemd", x.startSystemd(ctx, say)
		}
		if m.Exists("/etc/init.d/docker") {
			say("starting the service docker")
			if x.startService(ctx, say) {
				return "started by its init script", nil
			}
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			if err := x.CleanStale(ctx, say); err != nil {
				return "", err
			}
		}
	}
	return "started as a process of its own, log " + x.Paths.EngineLog, x.startDaemon(ctx, say)
}

func (x *Fixer) systemd() bool {
	b, err := x.Machine.ReadFile("/proc/1/comm")
	return err == nil && strings.TrimSpace(string(b)) == "systemd"
}

func (x *Fixer) startSystemd(ctx context.Context, say Progress) error {
	say("systemctl start docker")
	// A unit that failed too often is not started again without this; it fails
	// when there is nothing to reset.
	_ = x.run(ctx, func(string) {}, "systemctl", "reset-failed", "docker.service", "docker.socket")
	err := x.run(ctx, say, "systemctl", "start", "docker")
	if err == nil {
		err = x.await(ctx, say, x.Timeout, nil)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	log, _ := execx.Output(ctx, x.Machine.Run, execx.Cmd{Name: "journalctl", Args: []string{"-u", "docker", "-n", "12", "--no-pager", "-o", "cat"}})
	return startError(err, strings.TrimSpace(string(log)), "journalctl -u docker shows more")
}

// startService tries the init script. It answers before the daemon runs and
// says "ok" for one that dies at once, so only an engine that answers counts.
func (x *Fixer) startService(ctx context.Context, say Progress) bool {
	name, args := "service", []string{"docker", "start"}
	if x.Machine.Find("service") == "" {
		name, args = x.Machine.Path("/etc/init.d/docker"), []string{"start"}
	}
	if err := x.run(ctx, func(string) {}, name, args...); err != nil {
		say("the service manager does not start it; starting the engine directly")
		return false
	}
	return x.await(ctx, say, serviceGrace, nil) == nil
}

func (x *Fixer) startDaemon(ctx context.Context, say Progress) error {
	bin := x.Machine.Find("dockerd")
	if bin == "" {
		return clierr.Unfit("engine-missing", "install Docker: apt-get install docker.io", "there is no dockerd on this machine")
	}
	if err := os.MkdirAll(filepath.Dir(x.Paths.EngineLog), 0o755); err != nil {
		return fmt.Errorf("make the directory of the engine's log: %w", err)
	}
	var logStart int64
	if st, err := os.Stat(x.Paths.EngineLog); err == nil {
		logStart = st.Size()
	}
	say("starting " + bin)
	exited, err := x.Spawn(Daemon{Name: bin, Args: x.EngineArgs, Env: daemonEnv(os.Environ()), Log: x.Paths.EngineLog})
	if err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	err = x.await(ctx, say, x.Timeout, exited)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return startError(err, logTail(x.Paths.EngineLog, logStart), "look at "+x.Paths.EngineLog)
}

func startError(err error, log, hint string) error {
	e := &clierr.Error{Op: "start the engine", Err: err, Hint: hint, Detail: log, Code: clierr.CodeUnfit, ID: "engine-down"}
	if id, advice := known.Explain(log + "\n" + clierr.Describe(err).Detail); id != "" && id != "engine-down" {
		e.ID, e.Hint = id, advice
	}
	return e
}

// daemonEnv is our environment without what belongs to labctl's own service
// manager, and with the directories that dockerd looks for its helpers in.
func daemonEnv(env []string) []string {
	var out []string
	path := ""
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID":
		case "PATH":
			path = v
		default:
			out = append(out, kv)
		}
	}
	return append(out, "PATH="+strings.TrimPrefix(path+":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", ":"))
}

var errNoAnswer = errors.New("the engine does not answer")

// await waits until the engine answers. exited, when not nil, tells that the
// daemon ended.
func (x *Fixer) await(ctx context.Context, say Progress, limit time.Duration, exited <-chan error) error {
	start := x.Machine.Now()
	told := time.Duration(0)
	for {
		if x.answers(ctx) == nil {
			return nil
		}
		waited := x.Machine.Now().Sub(start)
		if waited >= limit {
			return fmt.Errorf("%w within %s", errNoAnswer, limit)
		}
		select {
		case err := <-exited:
			exited = nil
			// Two that start at once: the other's daemon may have won.
			if !x.daemonAlive() {
				if err == nil {
					err = errors.New("it ended without an error")
				}
				return fmt.Errorf("the engine ended at once: %w", err)
			}
		default:
		}
		if waited-told >= time.Second {
			told = waited
			say(fmt.Sprintf("waiting for the engine to answer (%s)", waited.Truncate(time.Second)))
		}
		if err := x.Sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

func (x *Fixer) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	args := append(append([]string{}, x.ClientArgs...), "version", "-f", "{{.Server.Version}}")
	_, err := execx.Output(ctx, x.Machine.Run, execx.Cmd{Name: "docker", Args: args})
	return err
}

// daemonAlive looks at the pid file first: a second engine with paths of its
// own must not be taken for this one.
func (x *Fixer) daemonAlive() bool {
	b, err := x.Machine.ReadFile(x.Paths.DockerPid)
	if err != nil {
		return len(x.EngineArgs) == 0 && x.Machine.ProcessAlive("dockerd")
	}
	return x.Machine.PidIs(strings.TrimSpace(string(b)), "dockerd")
}

// CleanStale removes pid files and the socket that a killed engine left. Its
// number may belong to another process by now; the engine then refuses to
// start, or waits for a containerd that is none.
func (x *Fixer) CleanStale(ctx context.Context, say Progress) error {
	for _, f := range []struct{ path, comm string }{{x.Paths.DockerPid, "dockerd"}, {x.Paths.ContainerdPid, "containerd"}} {
		b, err := x.Machine.ReadFile(f.path)
		if err != nil {
			continue
		}
		if x.Machine.PidIs(strings.TrimSpace(string(b)), f.comm) {
			continue
		}
		if err := x.remove(f.path, say); err != nil {
			return err
		}
	}
	// dockerd takes any file here for a running containerd and waits for it in vain.
	sock := x.Machine.Path(x.Paths.ContainerdSock)
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", sock)
	if err == nil {
		return conn.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return x.remove(x.Paths.ContainerdSock, say)
	}
	return nil
}

func (x *Fixer) remove(path string, say Progress) error {
	say("removing the stale " + path)
	if err := os.Remove(x.Machine.Path(path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove what a killed engine left: %w", err)
	}
	return nil
}
