package host

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Files of the engine and the kernel that are read, and by pkg/doctor/fix written.
const (
	DaemonJSON       = "/etc/docker/daemon.json"
	InotifyInstances = "/proc/sys/fs/inotify/max_user_instances"
	InotifyWatches   = "/proc/sys/fs/inotify/max_user_watches"
	engineRootDir    = "/var/lib/docker"
)

// System is what /proc and /etc say. Fields stay zero where there is no such file.
type System struct {
	Distro   Distro
	Kernel   string
	Init     string // the command of process 1
	WSL      bool
	Caps     Caps
	MemoryMi int64
	FreeMi   int64 // memory that could be used now
	// Inotify limits; 0 is unknown.
	InotifyInstances, InotifyWatches int64
	// OpenFiles is the hard limit that containers will inherit; 0 is unknown, -1 no limit.
	OpenFiles int64
}

// Distro is /etc/os-release.
type Distro struct {
	ID, Like, Name string
}

// Debian says whether apt packages have Debian's names.
func (d Distro) Debian() bool {
	for _, id := range append(strings.Fields(d.Like), d.ID) {
		if id == "debian" || id == "ubuntu" {
			return true
		}
	}
	return false
}

// Caps are the capabilities that processes of this machine can ever hold.
type Caps struct {
	Known    bool
	Bounding uint64
	Last     int // highest capability that the kernel knows
}

// Missing lists the capabilities, by number, that the kernel knows and the machine does not give.
func (c Caps) Missing() []int {
	var out []int
	for i := 0; c.Known && i <= c.Last; i++ {
		if c.Bounding&(1<<uint(i)) == 0 {
			out = append(out, i)
		}
	}
	return out
}

func (m Machine) system(context.Context) System {
	if m.OS != "linux" {
		return System{}
	}
	s := System{Distro: m.distro(), Kernel: m.text("/proc/sys/kernel/osrelease"), Init: m.text("/proc/1/comm"), Caps: m.caps("self")}
	s.WSL = strings.Contains(strings.ToLower(s.Kernel), "microsoft")
	mem := m.fields("/proc/meminfo")
	s.MemoryMi, s.FreeMi = kib(mem["MemTotal"]), kib(mem["MemAvailable"])
	s.InotifyInstances, _ = strconv.ParseInt(m.text(InotifyInstances), 10, 64)
	s.InotifyWatches, _ = strconv.ParseInt(m.text(InotifyWatches), 10, 64)
	s.OpenFiles = m.openFiles("self")
	return s
}

// engineLimits replaces what was read of our own process by what holds for the
// engine's process, because containers inherit from that one.
func (m Machine) engineLimits(s System, e Engine) System {
	if m.OS != "linux" || !e.Local || !e.Default {
		return s
	}
	pid := m.text("/var/run/docker.pid")
	if pid == "" || m.text("/proc/"+pid+"/comm") != "dockerd" {
		return s
	}
	if c := m.caps(pid); c.Known {
		s.Caps = c
	}
	if n := m.openFiles(pid); n != 0 {
		s.OpenFiles = n
	}
	return s
}

func (m Machine) distro() Distro {
	var d Distro
	for line := range strings.SplitSeq(m.text("/etc/os-release"), "\n") {
		k, v, _ := strings.Cut(line, "=")
		v = strings.Trim(v, `"'`)
		switch k {
		case "ID":
			d.ID = v
		case "ID_LIKE":
			d.Like = v
		case "PRETTY_NAME":
			d.Name = v
		}
	}
	return d
}

func (m Machine) caps(pid string) Caps {
	v, err := strconv.ParseUint(m.fields("/proc/" + pid + "/status")["CapBnd"], 16, 64)
	if err != nil {
		return Caps{}
	}
	last, err := strconv.Atoi(m.text("/proc/sys/kernel/cap_last_cap"))
	if err != nil || last > 63 {
		last = 40 // CAP_CHECKPOINT_RESTORE, the newest since Linux 5.9
	}
	return Caps{Known: true, Bounding: v, Last: last}
}

// openFiles reads the hard limit of open files of a process.
func (m Machine) openFiles(pid string) int64 {
	for line := range strings.SplitSeq(m.text("/proc/"+pid+"/limits"), "\n") {
		rest, ok := strings.CutPrefix(line, "Max open files")
		if f := strings.Fields(rest); ok && len(f) >= 2 {
			if f[1] == "unlimited" {
				return -1
			}
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// fields reads a file of "Key: value" lines.
func (m Machine) fields(p string) map[string]string {
	out := map[string]string{}
	sc := bufio.NewScanner(strings.NewReader(m.text(p)))
	for sc.Scan() {
		if k, v, ok := strings.Cut(sc.Text(), ":"); ok {
			out[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	return out
}

func kib(s string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	return n >> 10
}

// ProcessAlive says whether a process of that command runs. A zombie does not:
// in a sandbox whose first process does not reap, a killed engine stays one.
func (m Machine) ProcessAlive(comm string) bool {
	dirs, _ := filepath.Glob(m.Path("/proc/[0-9]*"))
	for _, d := range dirs {
		if m.PidIs(filepath.Base(d), comm) {
			return true
		}
	}
	return false
}

// PidIs says whether process pid lives and has that command.
func (m Machine) PidIs(pid, comm string) bool {
	if pid == "" || m.text("/proc/"+pid+"/comm") != comm {
		return false
	}
	stat := m.text("/proc/" + pid + "/stat")
	_, after, ok := strings.Cut(stat, ") ")
	return !ok || !strings.HasPrefix(after, "Z")
}

// DiskAt is the disk that holds the engine's data.
type DiskAt struct {
	Known bool
	Path  string
	Disk
}

func (m Machine) disk(e Engine) DiskAt {
	dir := engineRootDir
	switch {
	case e.State == Running && !e.Local, m.OS != "linux", !e.Default && e.State != Running:
		return DiskAt{}
	case e.State == Running:
		dir = e.Info.DockerRootDir
	}
	dir = m.nearest(dir)
	d, err := m.DiskFree(m.Path(dir))
	if err != nil {
		return DiskAt{Path: dir}
	}
	return DiskAt{Known: true, Path: dir, Disk: d}
}

// DaemonConfig is what the engine's configuration file says about runtimes.
type DaemonConfig struct {
	Exists bool
	// Broken says why the file is not a JSON object; such an engine does not start.
	Broken string
	// DefaultRuntime and RuntimePath are the runtime that containers get.
	DefaultRuntime, RuntimePath string
	RuntimeThere                bool
}

func (m Machine) daemonConfig() DaemonConfig {
	var c DaemonConfig
	if m.OS != "linux" {
		return c
	}
	b, err := m.ReadFile(DaemonJSON)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return c
	}
	c.Exists = true
	if err != nil {
		c.Broken = err.Error()
		return c
	}
	if strings.TrimSpace(string(b)) == "" {
		return c
	}
	var v struct {
		Default  string `json:"default-runtime"`
		Runtimes map[string]struct {
			Path string `json:"path"`
		} `json:"runtimes"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		c.Broken = err.Error()
		return c
	}
	c.DefaultRuntime, c.RuntimePath = v.Default, v.Runtimes[v.Default].Path
	c.RuntimeThere = c.RuntimePath != "" && m.Exists(c.RuntimePath)
	return c
}
