// Package host reads what a machine and its container engine offer: facts
// only. It does not judge them (that is pkg/doctor) and never changes anything
// (that is pkg/doctor/fix). Everything it reads comes through a Machine, so
// that tests describe a machine by a directory, an environment and a runner.
package host

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/internal/execx"
)

// Machine is the edge of the machine: what may be read, run and asked.
type Machine struct {
	OS, Arch string
	CPUs     int
	// Root stands before every path that is read or written; tests set it.
	Root       string
	Run        execx.Runner
	LookPath   func(file string) (string, error)
	LookupEnv  func(key string) (string, bool)
	Now        func() time.Time
	Euid       func() int
	Executable func() (string, error)
	// DiskFree measures the file system that holds path.
	DiskFree func(path string) (Disk, error)
	// TryPort opens and closes a TCP port on 127.0.0.1; the error says why it can't be had.
	TryPort func(ctx context.Context, port int) error
}

// Local is the machine that labctl runs on.
func Local() Machine {
	return Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Root: "/",
		Run: execx.Local{}, LookPath: exec.LookPath, LookupEnv: os.LookupEnv, Now: time.Now, Euid: os.Geteuid,
		Executable: os.Executable, DiskFree: diskFree, TryPort: tryPort,
	}
}

// Path puts the root before an absolute path.
func (m Machine) Path(p string) string { return filepath.Join(m.Root, filepath.FromSlash(p)) }

// ReadFile reads an absolute path below the root.
func (m Machine) ReadFile(p string) ([]byte, error) { return os.ReadFile(m.Path(p)) }

// Exists says whether an absolute path below the root is there.
func (m Machine) Exists(p string) bool {
	_, err := os.Stat(m.Path(p))
	return err == nil
}

// sbin is where a system keeps programs that a user's PATH often lacks.
func sbin() []string { return []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} }

// Find looks for a program on PATH and then where systems keep theirs.
func (m Machine) Find(name string) string {
	if p, err := m.LookPath(name); err == nil {
		return p
	}
	if m.OS != "linux" {
		return ""
	}
	for _, dir := range sbin() {
		if p := dir + "/" + name; m.Exists(p) {
			return p
		}
	}
	return ""
}

func (m Machine) env(key string) string {
	v, _ := m.LookupEnv(key)
	return v
}

// text reads a small file such as those of /proc, trimmed; "" when it can't be read.
func (m Machine) text(p string) string {
	b, err := m.ReadFile(p)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Disk is the free space of one file system.
type Disk struct {
	FreeMi, TotalMi int64
	// FreeInodes is -1 where the file system has no such limit.
	FreeInodes int64
}

// nearest gives the deepest existing directory of an absolute path, so that
// the disk can be measured before the engine has made its directory.
func (m Machine) nearest(p string) string {
	for p != "/" && p != "." {
		_, err := os.Stat(m.Path(p))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return p
		}
		p = filepath.ToSlash(filepath.Dir(p))
	}
	return p
}

func tryPort(ctx context.Context, port int) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}
