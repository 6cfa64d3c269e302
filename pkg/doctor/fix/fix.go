// Package fix changes a Debian or Ubuntu machine so that it becomes fit:
// installs packages, starts the engine, installs a runtime for machines that
// lack capabilities, raises kernel limits. Every part can run again at any
// time and does nothing when there is nothing to do.
//
// It decides nothing: pkg/doctor finds out what is wrong and asks for it. It
// never changes an engine that runs.
package fix

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor/host"
	"labctl.dev/labctl/pkg/doctor/known"
	"labctl.dev/labctl/pkg/internal/execx"
)

// Paths are the files that are written or cleaned up. Tests and a second
// engine beside the usual one set their own.
type Paths struct {
	DaemonJSON    string
	RuntimeScript string
	DockerPid     string
	ContainerdPid string
	// ContainerdSock is the system's containerd, which the engine uses when it is there.
	ContainerdSock string
	SysctlConf     string
	EngineLog      string
}

// Fixer changes one machine.
type Fixer struct {
	Machine host.Machine
	Paths   Paths
	// EngineArgs are further arguments of dockerd, ClientArgs those of docker
	// before the verb; both are empty for the usual engine.
	EngineArgs, ClientArgs []string
	// Spawn starts a process that outlives this one.
	Spawn func(s Daemon) (exited <-chan error, err error)
	// Sleep waits, or ends with the context.
	Sleep func(ctx context.Context, d time.Duration) error
	// Timeout bounds the wait for an engine that was started.
	Timeout time.Duration
}

// Daemon is a process to be started for good.
type Daemon struct {
	Name string
	Args []string
	Env  []string
	Log  string
}

// Local is the Fixer for the machine that labctl runs on.
func Local(m host.Machine, stateDir string) *Fixer {
	return &Fixer{
		Machine: m,
		Paths: Paths{
			DaemonJSON: host.DaemonJSON, RuntimeScript: "/usr/local/lib/labctl/runc-bounded", DockerPid: "/var/run/docker.pid",
			ContainerdPid: "/var/run/docker/containerd/containerd.pid", ContainerdSock: "/run/containerd/containerd.sock", SysctlConf: "/etc/sysctl.d/60-labctl.conf",
			EngineLog: filepath.Join(stateDir, "engine.log"),
		},
		Spawn: spawn, Sleep: sleep, Timeout: 90 * time.Second,
	}
}

// Progress is told what happens, in a few words.
type Progress func(text string)

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Install installs Debian packages, and those of maybe that the release has. It
// repairs a package manager that was killed. It gives what it installed.
func (x *Fixer) Install(ctx context.Context, packages, maybe []string, say Progress) ([]string, error) {
	// The lists are refreshed first: a fresh machine has none, old ones name files that are gone.
	say("refreshing package lists")
	listErr := x.apt(ctx, say, "update")
	for _, p := range maybe {
		out, err := execx.Output(ctx, x.Machine.Run, execx.Cmd{Name: "apt-cache", Args: []string{"show", "--no-all-versions", p}})
		if err == nil && len(out) > 0 {
			packages = append(slices.Clone(packages), p)
		}
	}
	install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	err := x.apt(ctx, say, install...)
	if err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "dpkg was interrupted") {
		say("repairing the package database")
		if err := x.run(ctx, say, "dpkg", "--configure", "-a"); err != nil {
			return nil, known.Annotate(err, "repair the package database")
		}
		err = x.apt(ctx, say, install...)
	}
	if err != nil {
		return nil, known.Annotate(errors.Join(err, listErr), "install "+strings.Join(packages, " "))
	}
	return packages, nil
}

func (x *Fixer) apt(ctx context.Context, say Progress, args ...string) error {
	// Without a pseudo terminal dpkg prints no line for every percent.
	return x.run(ctx, say, "apt-get", append([]string{"-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0"}, args...)...)
}

// run runs a command, reports its lines, and gives its last words on failure.
func (x *Fixer) run(ctx context.Context, say Progress, name string, args ...string) error {
	tail := &lines{say: say}
	err := x.Machine.Run.Run(ctx, execx.Cmd{Name: name, Args: args, Env: []string{"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}, Stdout: tail, Stderr: tail})
	if err == nil {
		return nil
	}
	return &clierr.Error{Op: name, Err: err, Detail: tail.last()}
}

// lines hands whole lines on and keeps the last few. Stdout and stderr of a
// process are written from two goroutines.
type lines struct {
	say  Progress
	mu   sync.Mutex
	buf  bytes.Buffer
	keep []string
}

const keepLines = 12

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(p)
	for {
		i := bytes.IndexAny(l.buf.Bytes(), "\r\n")
		if i < 0 {
			return len(p), nil
		}
		line := strings.TrimSpace(string(l.buf.Next(i + 1)))
		if line == "" {
			continue
		}
		if l.keep = append(l.keep, line); len(l.keep) > keepLines {
			l.keep = l.keep[1:]
		}
		l.say(line)
	}
}

func (l *lines) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.keep, "\n")
}

// Inotify raises kernel limits that are lower than asked, now and after a
// reboot. A limit that is higher already stays.
func (x *Fixer) Inotify(instances, watches int64) ([]string, error) {
	var conf strings.Builder
	conf.WriteString("# Written by labctl: several programs that watch files share these limits.\n")
	for _, l := range []struct {
		file, key string
		want      int64
	}{
		{host.InotifyInstances, "fs.inotify.max_user_instances", instances},
		{host.InotifyWatches, "fs.inotify.max_user_watches", watches},
	} {
		b, err := x.Machine.ReadFile(l.file)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", l.key, err)
		}
		have, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", l.key, err)
		}
		if have < l.want {
			// Not atomic: files of /proc can't be replaced, and need not be.
			if err := os.WriteFile(x.Machine.Path(l.file), []byte(strconv.FormatInt(l.want, 10)+"\n"), 0o644); err != nil { //nolint:gosec // a file of /proc
				return nil, clierr.New("raise it on the machine that this one runs in: sysctl -w "+l.key+"="+strconv.FormatInt(l.want, 10), "raise %s: %w", l.key, err)
			}
			have = l.want
		}
		fmt.Fprintf(&conf, "%s = %d\n", l.key, have)
	}
	if err := writeFile(x.Machine.Path(x.Paths.SysctlConf), []byte(conf.String()), 0o644); err != nil {
		return nil, err
	}
	return []string{x.Paths.SysctlConf}, nil
}

// logTail gives the last lines of a log file.
func logTail(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return ""
	}
	var keep []string
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if keep = append(keep, sc.Text()); len(keep) > keepLines {
			keep = keep[1:]
		}
	}
	return strings.Join(keep, "\n")
}
