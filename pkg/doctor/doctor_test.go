package doctor_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/doctor/host"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/version"
)

func mac() box {
	return box{
		os: "darwin", arch: "arm64", euid: 501, cpus: 10, files: map[string]string{"/usr/local/bin/labctl": "labctl itself"}, bins: []string{"docker"},
		env: map[string]string{"PATH": "/usr/local/bin"},
		rules: engineRules(info(map[string]any{
			"OperatingSystem": "Docker Desktop", "KernelVersion": "6.10.14-linuxkit", "Architecture": "aarch64", "NCPU": 10, "MemTotal": int64(8217) << 20,
			"Name": "docker-desktop", "Driver": "overlayfs", "CgroupDriver": "cgroupfs", "DriverStatus": [][2]string{{"driver-type", "io.containerd.snapshotter.v1"}},
			"ClientInfo": map[string]any{"Context": "desktop-linux"},
		})),
	}
}

func need() doctor.Need {
	return doctor.Need{MemoryMi: 4096, MemoryLimitMi: 6144, CPUMilli: 2000, DiskMi: 20 << 10, Labs: []string{"model-registry"}}
}

type scenario struct {
	name   string
	box    box
	need   func(*doctor.Need)
	ignore []string
	// bad are the findings that are not ok; all others must be.
	bad map[string]doctor.Status
	fit bool
}

func scenarios() []scenario {
	const fail, warn, skip = doctor.Fail, doctor.Warn, doctor.Skip
	type bad = map[string]doctor.Status
	fresh := laptop().with(func(b *box) {
		b.euid, b.bins, b.rules = 0, []string{"apt-get"}, nil
		delete(b.files, "/usr/sbin/dockerd")
		delete(b.files, "/proc/700/comm")
		delete(b.files, "/var/lib/docker/")
		b.files["/proc/1/comm"] = "init"
		b.files["/proc/self/status"] = "CapBnd:\t" + noSysResource
		b.files["/proc/self/limits"] = limits("20000")
	})
	setInfo := func(over map[string]any) box {
		return laptop().with(func(b *box) { b.rules = engineRules(info(over)) })
	}
	set := func(change func(*box)) box { return laptop().with(change) }
	down := "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
	return []scenario{
		{name: "laptop", box: laptop(), fit: true, need: func(n *doctor.Need) { n.Ports = []int{5001} }},
		{name: "mac", box: mac(), fit: true, bad: bad{doctor.IDDisk: skip}},
		{
			name: "desktop-2gb", bad: bad{doctor.IDMemory: fail, doctor.IDDisk: skip},
			box: mac().with(func(b *box) {
				b.rules = engineRules(info(map[string]any{"OperatingSystem": "Docker Desktop", "Architecture": "aarch64", "NCPU": 4, "MemTotal": int64(1969) << 20}))
			}),
		},
		{
			name: "desktop-2gb-ignored", fit: true, ignore: []string{doctor.IDMemory}, bad: bad{doctor.IDMemory: fail, doctor.IDDisk: skip},
			box: mac().with(func(b *box) {
				b.rules = engineRules(info(map[string]any{"OperatingSystem": "Docker Desktop", "Architecture": "aarch64", "NCPU": 4, "MemTotal": int64(1969) << 20}))
			}),
		},
		{name: "engine-down", box: set(func(b *box) { b.rules = deadEngine(down) }), bad: bad{doctor.IDEngineDown: fail}},
		{
			name: "engine-down-old-client", bad: bad{doctor.IDEngineDown: fail},
			// The client of 20.10 exits 0 and lists the error in its document.
			box: set(func(b *box) {
				b.rules = engineRules(`{"ServerErrors":["` + down + `"],"ClientInfo":{"Context":"default"}}`)
			}),
		},
		{
			name: "mac-down", bad: bad{doctor.IDEngineDown: fail, doctor.IDMemory: skip, doctor.IDCPU: skip, doctor.IDDisk: skip},
			box: mac().with(func(b *box) { b.rules = deadEngine(down) }),
		},
		{
			name: "permission", bad: bad{doctor.IDEnginePermission: fail},
			box: set(func(b *box) {
				b.rules = deadEngine("permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix: permission denied")
			}),
		},
		{
			name: "permission-capability", bad: bad{doctor.IDEnginePermission: fail, doctor.IDCapabilities: skip},
			box: set(func(b *box) {
				b.rules = deadEngine("permission denied while trying to connect to the Docker daemon socket")
				b.files["/proc/self/status"] = "CapBnd:\t" + noSysResource
			}),
		},
		{
			name: "podman-as-docker", bad: bad{doctor.IDEngineUnsupported: fail, doctor.IDMemory: skip, doctor.IDCPU: skip, doctor.IDDisk: skip},
			box: set(func(b *box) {
				b.rules = []execx.Rule{{Prefix: "docker --version", Stdout: "podman version 5.4.1\n"}, {Prefix: "docker", Stdout: "{}"}}
			}),
		},
		{
			name: "podman-socket", bad: bad{doctor.IDEngineUnsupported: fail, doctor.IDMemory: skip, doctor.IDCPU: skip, doctor.IDDisk: skip},
			box: set(func(b *box) {
				b.rules = append([]execx.Rule{{Prefix: "docker version", Stdout: `{"Server":{"Components":[{"Name":"Podman Engine"}]}}`}}, engineRules(info(nil))...)
				b.env["DOCKER_HOST"] = "unix:///run/user/1000/podman/podman.sock"
			}),
		},
		{
			name: "nerdctl-only", bad: bad{doctor.IDEngineUnsupported: fail},
			box: set(func(b *box) { b.bins = []string{"nerdctl", "apt-get"} }),
		},
		{name: "fresh-sandbox", box: fresh, bad: bad{doctor.IDEngineMissing: fail, doctor.IDCapabilities: fail}},
		{
			name: "client-without-engine", bad: bad{doctor.IDEngineMissing: fail, doctor.IDCapabilities: fail},
			box: fresh.with(func(b *box) { b.bins, b.rules = []string{"docker", "apt-get"}, deadEngine(down) }),
		},
		{
			name: "runtime-there", bad: bad{doctor.IDEngineDown: fail},
			box: fresh.with(func(b *box) {
				b.bins, b.rules = []string{"docker", "dockerd", "apt-get"}, deadEngine(down)
				b.files["/etc/docker/daemon.json"] = `{"default-runtime":"labctl-bounded","runtimes":{"labctl-bounded":{"path":"/usr/local/lib/labctl/runc-bounded"}}}`
				b.files["/usr/local/lib/labctl/runc-bounded"] = "#!/bin/sh"
			}),
		},
		{
			name: "capability-missing-running", bad: bad{doctor.IDCapabilities: fail},
			// The engine's process counts, not ours.
			box: set(func(b *box) {
				b.files["/var/run/docker.pid"] = "700"
				b.files["/proc/700/status"] = "CapBnd:\t" + noSysResource
			}),
		},
		{
			name: "capability-bounded", fit: true,
			box: setInfo(map[string]any{"DefaultRuntime": "labctl-bounded"}).with(func(b *box) { b.files["/proc/self/status"] = "CapBnd:\t" + noSysResource }),
		},
		{
			name: "no-sys-admin", bad: bad{doctor.IDCapabilities: fail},
			box: set(func(b *box) { b.files["/proc/self/status"] = "CapBnd:\t00000000a80425fb" }),
		},
		{name: "cgroup-v1", fit: true, box: setInfo(map[string]any{"CgroupVersion": "1", "CgroupDriver": "cgroupfs"}), bad: bad{doctor.IDCgroup: warn}},
		{
			name: "low-inotify", fit: true, bad: bad{doctor.IDInotifyInstances: warn, doctor.IDInotifyWatches: warn, doctor.IDOpenFiles: warn},
			box: set(func(b *box) {
				b.files[host.InotifyInstances], b.files[host.InotifyWatches], b.files["/proc/self/limits"] = "128", "65536", limits("4096")
			}),
		},
		{
			name: "foreign-labctl", fit: true, bad: bad{doctor.IDForeignLabctl: warn},
			box: set(func(b *box) {
				b.env["PATH"] = "/opt/bin:/usr/local/bin"
				b.files["/opt/bin/labctl"] = "something else"
			}),
		},
		{
			name: "older-labctl", fit: true, bad: bad{doctor.IDForeignLabctl: warn},
			box: set(func(b *box) {
				b.env["PATH"] = "/opt/bin:/usr/local/bin"
				b.files["/opt/bin/labctl"] = "\x00\x01" + version.Project + "\x00"
			}),
		},
		{
			name: "proxy", fit: true, bad: bad{doctor.IDProxy: warn},
			box: setInfo(map[string]any{"HttpsProxy": "http://proxy.corp:3128"}).with(func(b *box) {
				b.env["https_proxy"], b.env["NO_PROXY"] = "http://me:secret@proxy.corp:3128", "localhost,127.0.0.0/8,.corp"
			}),
		},
		{
			name: "proxy-complete", fit: true,
			box: setInfo(map[string]any{"HttpsProxy": "http://proxy.corp:3128"}).with(func(b *box) {
				b.env["HTTPS_PROXY"], b.env["NO_PROXY"] = "http://proxy.corp:3128", "localhost,127.0.0.1,labctl-cache,.labctl"
			}),
		},
		{
			name: "proxy-loopback", fit: true, bad: bad{doctor.IDProxy: warn},
			box: set(func(b *box) { b.env["HTTP_PROXY"] = "http://127.0.0.1:3128" }),
		},
		{
			name: "ca-missing", fit: true, bad: bad{doctor.IDCABundle: warn},
			box: set(func(b *box) { b.env["SSL_CERT_FILE"] = "/etc/ssl/corp.pem" }),
		},
		{
			name: "ports", bad: bad{doctor.IDPorts: fail}, need: func(n *doctor.Need) { n.Ports = []int{80, 5001, 8080, 9000} },
			box: set(func(b *box) {
				b.ports = map[int]error{80: os.ErrPermission, 5001: syscall.EADDRINUSE, 8080: syscall.EADDRINUSE}
				b.rules = append([]execx.Rule{
					{Prefix: "docker ps --filter publish=5001", Stdout: "labctl-cache labctl\n"},
					{Prefix: "docker ps --filter publish=8080", Stdout: "jenkins \n"},
				}, b.rules...)
			}),
		},
		{
			name: "small-and-old", bad: bad{doctor.IDEngineVersion: fail, doctor.IDEngineStorage: warn, doctor.IDCPU: fail, doctor.IDDisk: fail, doctor.IDTimeSkew: fail, doctor.IDMemory: warn},
			box: setInfo(map[string]any{
				"ServerVersion": "19.03.15", "Driver": "vfs", "NCPU": 1, "MemTotal": int64(5) << 30, "SystemTime": now().Add(-time.Hour).Format(time.RFC3339),
			}).with(func(b *box) { b.disk.FreeMi = 3 << 10 }),
		},
		{
			name: "emulated", fit: true, bad: bad{doctor.IDArch: warn},
			box: set(func(b *box) { b.arch = "arm64" }),
		},
		{
			name: "build-tools", bad: bad{doctor.IDBuildTools: fail, doctor.IDBuildGo: fail}, need: func(n *doctor.Need) { n.NodeImageBuild = true },
			box: set(func(b *box) {
				b.bins = append(b.bins, "gcc", "busybox")
				b.files["/usr/include/stdio.h"], b.files["/var/lib/dpkg/info/busybox.list"] = "", ""
			}),
		},
		{
			name: "build-tools-there", fit: true, need: func(n *doctor.Need) { n.NodeImageBuild = true },
			box: set(func(b *box) {
				b.bins = append(b.bins, "gcc", "busybox", "mmdebstrap", "pkg-config")
				for _, f := range []string{"/usr/include/stdio.h", "/usr/include/seccomp.h", "/var/lib/dpkg/info/busybox-static.list", "/usr/share/keyrings/debian-archive-keyring.gpg"} {
					b.files[f] = ""
				}
				b.rules = append(b.rules, execx.Rule{Prefix: "go env GOVERSION", Stdout: "go1.26.8\n"})
			}),
		},
		{
			name: "broken-config", bad: bad{doctor.IDEngineDown: fail, doctor.IDEngineConfig: fail},
			box: set(func(b *box) {
				b.rules = deadEngine(down)
				b.files["/etc/docker/daemon.json"] = `{"debug": true,}`
			}),
		},
		{
			name: "windows-containers", bad: bad{doctor.IDEngineUnsupported: fail, doctor.IDDisk: skip},
			box: mac().with(func(b *box) {
				b.os = "windows"
				b.rules = engineRules(info(map[string]any{"OSType": "windows", "OperatingSystem": "Docker Desktop", "Architecture": "aarch64"}))
			}),
		},
		{
			name: "colima-small", bad: bad{doctor.IDMemory: fail, doctor.IDCPU: fail, doctor.IDDisk: skip},
			box: mac().with(func(b *box) {
				b.rules = engineRules(info(map[string]any{"Name": "colima", "Architecture": "aarch64", "NCPU": 1, "MemTotal": int64(1900) << 20}))
			}),
		},
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range scenarios() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := need()
			if tt.need != nil {
				tt.need(&n)
			}
			r := newDoctor(tt.box.machine(t)).Check(t.Context(), n, tt.ignore)
			got := map[string]doctor.Status{}
			for _, f := range r.Findings {
				if f.Status != doctor.OK {
					got[f.ID] = f.Status
				}
				if f.Title == "" || f.Found == "" {
					t.Errorf("%s: a finding without title or found: %+v", f.ID, f)
				}
				if f.Status == doctor.Fail && (f.Why == "" || f.Fix == "") {
					t.Errorf("%s fails without saying why or what to do: %+v", f.ID, f)
				}
			}
			if tt.bad == nil {
				tt.bad = map[string]doctor.Status{}
			}
			if diff := cmp.Diff(tt.bad, got); diff != "" {
				t.Errorf("findings that are not ok (-want +got):\n%s", diff)
			}
			if r.Fit != tt.fit {
				t.Errorf("fit = %v, want %v", r.Fit, tt.fit)
			}
			golden.Equal(t, []byte(r.Text()), tt.name+".txt")
		})
	}
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	r := newDoctor(scenarios()[2].box.machine(t)).Check(t.Context(), need(), nil)
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, append(b, '\n'), "report.json")
}

// A hanging engine must end in a finding, also when the child can't be ended.
func TestCheckHangingEngine(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hang := func(context.Context, execx.Cmd) error { <-release; return nil }
	m := laptop().with(func(b *box) {
		b.rules = append([]execx.Rule{{Prefix: "docker info", Do: hang}}, b.rules...)
	}).machine(t)
	d := doctor.New(doctor.Deps{Machine: m, Timeouts: host.Timeouts{Engine: 20 * time.Millisecond}})
	r := d.Check(t.Context(), need(), nil)
	if f, ok := r.Find(doctor.IDEngineHangs); !ok || f.Status != doctor.Fail || r.Fit {
		t.Errorf("no finding of a hanging engine: %+v", r.Findings)
	}
}

// Every id is explained in docs/doctor.md.
func TestIDsAreDocumented(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range doctor.IDs() {
		if !containsHeading(string(b), id) {
			t.Errorf("docs/doctor.md has no section `### %s`", id)
		}
	}
	known := map[string]bool{}
	for _, id := range doctor.IDs() {
		known[id] = true
	}
	for _, tt := range scenarios() {
		for id := range tt.bad {
			if !known[id] {
				t.Errorf("%s is not in IDs()", id)
			}
		}
	}
}

func containsHeading(doc, id string) bool {
	return strings.Contains("\n"+doc, "\n### "+id+"\n")
}
