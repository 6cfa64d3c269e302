package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/doctor/fix"
	"labctl.dev/labctl/pkg/doctor/host"
	"labctl.dev/labctl/pkg/internal/execx"
)

// box describes a machine for tests.
type box struct {
	os, arch string
	euid     int
	cpus     int
	files    map[string]string // a name that ends in / is a directory
	env      map[string]string
	bins     []string // programs on PATH
	rules    []execx.Rule
	disk     host.Disk
	ports    map[int]error // those that can't be opened
}

// now is the time on every machine of the tests.
func now() time.Time { return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC) }

const allCaps, noSysResource = "000001ffffffffff", "000001fffeffffff"

// laptop is an Ubuntu laptop with a healthy engine.
func laptop() box {
	return box{
		os: "linux", arch: "amd64", euid: 1000, cpus: 8,
		files: map[string]string{
			"/etc/os-release":                         "ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME=\"Ubuntu 24.04.2 LTS\"\n",
			"/proc/sys/kernel/osrelease":              "6.8.0-51-generic\n",
			"/proc/sys/kernel/cap_last_cap":           "40\n",
			"/proc/1/comm":                            "systemd\n",
			"/proc/self/status":                       "Name:\tlabctl\nCapBnd:\t" + allCaps + "\n",
			"/proc/self/limits":                       limits("1048576"),
			"/proc/meminfo":                           "MemTotal:       16303424 kB\nMemFree: 100 kB\nMemAvailable:   11534336 kB\n",
			"/proc/sys/fs/inotify/max_user_instances": "1024\n",
			"/proc/sys/fs/inotify/max_user_watches":   "524288\n",
			"/proc/700/comm":                          "dockerd\n",
			"/proc/700/stat":                          "700 (dockerd) S 1 700\n",
			"/var/lib/docker/":                        "",
			"/usr/local/bin/labctl":                   "labctl itself",
			"/usr/sbin/dockerd":                       "",
		},
		env:   map[string]string{"PATH": "/usr/local/bin:/usr/bin"},
		bins:  []string{"docker", "apt-get"},
		rules: engineRules(info(nil)),
		disk:  host.Disk{FreeMi: 120 << 10, TotalMi: 460 << 10, FreeInodes: 9_000_000},
	}
}

func limits(hard string) string {
	return "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 " + hard + "              files\n"
}

// with changes a copy of the machine.
func (b box) with(change func(*box)) box {
	b.files, b.env, b.bins = maps.Clone(b.files), maps.Clone(b.env), slices.Clone(b.bins)
	change(&b)
	return b
}

// info is the engine's answer; over replaces single fields.
func info(over map[string]any) string {
	v := map[string]any{
		"Driver": "overlay2", "DriverStatus": [][2]string{{"Backing Filesystem", "extfs"}, {"Supports d_type", "true"}},
		"CgroupDriver": "systemd", "CgroupVersion": "2", "KernelVersion": "6.8.0-51-generic", "OperatingSystem": "Ubuntu 24.04.2 LTS",
		"OSType": "linux", "Architecture": "x86_64", "NCPU": 8, "MemTotal": int64(16303424) << 10, "DockerRootDir": "/var/lib/docker", "Name": "thinkpad",
		"ServerVersion": "28.2.2", "DefaultRuntime": "runc", "SystemTime": now().Format(time.RFC3339Nano),
		"SecurityOptions": []string{"name=seccomp,profile=builtin", "name=cgroupns"}, "ClientInfo": map[string]any{"Context": "default"},
	}
	maps.Copy(v, over)
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func engineRules(info string) []execx.Rule {
	return []execx.Rule{
		{Prefix: "docker --version", Stdout: "Docker version 28.2.2, build e6534b4\n"},
		{Prefix: "docker version", Stdout: `{"Server":{"Components":[{"Name":"Engine","Version":"28.2.2"}]}}`},
		{Prefix: "docker info", Stdout: info},
		{Prefix: "docker ps", Stdout: ""},
	}
}

func deadEngine(stderr string) []execx.Rule {
	err := &execx.ExitError{Command: "docker", Code: 1, Stderr: stderr}
	return []execx.Rule{
		{Prefix: "docker --version", Stdout: "Docker version 28.2.2, build e6534b4\n"},
		{Prefix: "docker version", Stdout: `{"Server":null}`, Err: err},
		{Prefix: "docker info", Stdout: `{"ServerVersion":"","NCPU":0,"ClientInfo":{"Context":"default"}}`, Err: err},
	}
}

// machine builds the box below a temporary directory.
func (b box) machine(t *testing.T) host.Machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range b.files {
		p := filepath.Join(root, name)
		if name[len(name)-1] == '/' {
			mustDo(t, os.MkdirAll(p, 0o755))
			continue
		}
		mustDo(t, os.MkdirAll(filepath.Dir(p), 0o755))
		mustDo(t, os.WriteFile(p, []byte(text), 0o755))
	}
	return host.Machine{
		OS: b.os, Arch: b.arch, CPUs: b.cpus, Root: root, Run: execx.NewFake(b.rules...),
		LookPath: func(name string) (string, error) {
			if slices.Contains(b.bins, name) {
				return "/usr/bin/" + name, nil
			}
			return "", exec.ErrNotFound
		},
		LookupEnv:  func(k string) (string, bool) { v, ok := b.env[k]; return v, ok },
		Now:        now,
		Euid:       func() int { return b.euid },
		Executable: func() (string, error) { return "/usr/local/bin/labctl", nil },
		DiskFree: func(string) (host.Disk, error) {
			if b.disk.TotalMi == 0 {
				return host.Disk{}, errors.ErrUnsupported
			}
			return b.disk, nil
		},
		TryPort: func(_ context.Context, port int) error { return b.ports[port] },
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDoctor(m host.Machine) *doctor.Doctor {
	return doctor.New(doctor.Deps{Machine: m, Version: "v1.2.3", Fixer: fix.Local(m, m.Path("/state")), Timeouts: host.Timeouts{Engine: 2 * time.Second, Other: 2 * time.Second}})
}
