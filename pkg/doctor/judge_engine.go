package doctor

import (
	"fmt"
	"strings"

	"labctl.dev/labctl/pkg/doctor/fix"
	"labctl.dev/labctl/pkg/doctor/host"
)

// judge turns facts into findings, in the order of IDs.
func judge(f host.Facts, need Need) []Finding {
	var out []Finding
	out = append(out, judgeEngine(f))
	add := func(list ...Finding) { out = append(out, list...) }
	if f.DaemonCfg.Broken != "" {
		add(judgeConfig(f))
	}
	if f.Engine.State == host.Running {
		add(judgeVersion(f), judgeStorage(f), judgeImageStore(f))
	}
	add(judgeCgroup(f)...)
	add(judgeCaps(f)...)
	add(judgeArch(f), judgeMemory(f, need), judgeCPU(f, need), judgeDisk(f, need))
	add(judgeInotify(f)...)
	add(judgeOpenFiles(f)...)
	add(judgePorts(f)...)
	add(judgeSkew(f)...)
	add(judgeProxy(f), judgeCA(f), judgeOthers(f))
	add(judgeTools(f)...)
	return out
}

func judgeEngine(f host.Facts) Finding {
	e := f.Engine
	fd := Finding{ID: IDEngine, Status: Fail, Title: "container engine", Needed: "Docker 20.10 or newer, running"}
	switch e.State {
	case host.Running:
		fd.Status, fd.Found = OK, engineLine(e)
		if e.Info.OSType == "windows" {
			fd.ID, fd.Status, fd.Found = IDEngineUnsupported, Fail, "the engine runs Windows containers"
			fd.Why, fd.Fix = "cluster nodes are Linux containers", "Docker Desktop menu: Switch to Linux containers"
		}
	case host.Missing:
		fd.ID, fd.Found, fd.Why = IDEngineMissing, "no container engine", "a cluster node is a container"
		if e.Client != "" {
			fd.Found = "the docker command (" + e.Client + "), but no engine on this machine"
		}
		fd.Fix, fd.Fixable = installAdvice(f)
	case host.Unsupported:
		fd.ID, fd.Found = IDEngineUnsupported, e.Product+" in place of Docker"
		fd.Why = "labs are tested with Docker only; with " + e.Product + " networks, mounts and image stores differ and labs break half-way"
		fd.Fix, _ = installAdvice(f)
		if f.OS == "linux" {
			fd.Fix = "install Docker beside it (" + fd.Fix + ") and remove the alias or the package podman-docker"
			if e.Client == "" {
				fd.Fix, fd.Fixable = installAdvice(f)
			}
		}
	case host.Permission:
		fd.ID, fd.Found, fd.Why = IDEnginePermission, "this user may not open the engine's socket", e.Detail
		fd.Fix = permissionAdvice(f)
	case host.Hangs:
		fd.ID, fd.Found, fd.Why = IDEngineHangs, "the engine does not answer in time", "an engine that hangs does so for every command"
		fd.Fix = restartAdvice(f)
	default:
		fd.ID, fd.Found, fd.Why = IDEngineDown, "the engine does not run", e.Detail
		fd.Fix, fd.Fixable = startAdvice(f)
	}
	return fd
}

func judgeConfig(f host.Facts) Finding {
	fd := Finding{
		ID: IDEngineConfig, Status: Fail, Title: "engine configuration", Found: host.DaemonJSON + " is broken: " + f.DaemonCfg.Broken,
		Needed: "one JSON object", Why: "the engine does not start with it; labctl never overwrites a file that it can't read",
		Fix: "repair " + host.DaemonJSON + " (python3 -m json.tool " + host.DaemonJSON + " shows the place) or move it away",
	}
	if f.Engine.State == host.Running {
		fd.Status, fd.Why = Warn, "the engine runs, but will not start again with this file"
	}
	return fd
}

func judgeVersion(f host.Facts) Finding {
	v := f.Engine.Info.ServerVersion
	fd := Finding{ID: IDEngineVersion, Status: OK, Title: "engine version", Found: v, Needed: "20.10 or newer"}
	major, minor, ok := host.VersionParts(v)
	switch {
	case !ok:
		fd.Status, fd.Why = Warn, "the version can't be read; labs are tested with Docker 20.10 and newer"
	case major < 20 || major == 20 && minor < 10:
		fd.Status, fd.Why = Fail, "older engines have no cgroup namespaces; nodes don't start"
		fd.Fix = "update Docker: https://docs.docker.com/engine/install/"
	}
	return fd
}

func judgeStorage(f host.Facts) Finding {
	i := f.Engine.Info
	fd := Finding{ID: IDEngineStorage, Status: OK, Title: "storage driver", Found: i.Driver, Needed: "a driver with copy-on-write, such as overlay2"}
	switch {
	case i.Driver == "vfs":
		fd.Status, fd.Why = Warn, "vfs copies every layer of every container: slow, and several times the disk"
		fd.Fix = "put the engine's data on ext4 or xfs and set \"storage-driver\": \"overlay2\" in " + host.DaemonJSON
	case i.Status("Supports d_type") == "false":
		fd.Status, fd.Found = Fail, i.Driver+" on a file system without d_type"
		fd.Why, fd.Fix = "files vanish inside containers", "make the file system anew with ftype=1 (mkfs.xfs -n ftype=1), or use ext4"
	case i.Driver == "devicemapper", i.Driver == "aufs":
		fd.Status, fd.Why, fd.Fix = Warn, i.Driver+" is no longer maintained", "update Docker; it moves to overlay2"
	}
	return fd
}

func judgeImageStore(f host.Facts) Finding {
	fd := Finding{ID: IDEngineImageStore, Status: OK, Title: "image store", Found: "classic"}
	if strings.Contains(f.Engine.Info.Status("driver-type"), "containerd.snapshotter") {
		fd.Found = "containerd (images reach nodes through the cache, not by side-loading)"
	}
	return fd
}

func judgeCgroup(f host.Facts) []Finding {
	fd := Finding{ID: IDCgroup, Status: OK, Title: "cgroup version", Needed: "2 (1 works for now)"}
	e := f.Engine
	if e.State != host.Running {
		return nil
	}
	fd.Found = e.Info.CgroupVersion
	if e.Info.CgroupDriver != "" {
		fd.Found += ", driver " + e.Info.CgroupDriver
	}
	switch e.Info.CgroupVersion {
	case "2":
	case "1":
		fd.Status, fd.Why = Warn, "Kubernetes gives cgroup v1 up; labctl switches its refusal off, later versions won't start"
		fd.Fix = "boot with systemd.unified_cgroup_hierarchy=1 (Debian 11, Ubuntu 22.04 and newer do)"
	default:
		fd.Status, fd.Found = Skip, "the engine does not tell"
	}
	if isRootless(e) && e.Info.CgroupVersion != "2" {
		fd.Status, fd.Why = Fail, "a rootless engine needs cgroup v2"
	}
	return []Finding{fd}
}

func isRootless(e host.Engine) bool {
	for _, o := range e.Info.SecurityOptions {
		if strings.Contains(o, "rootless") {
			return true
		}
	}
	return false
}

// vital are capabilities without which no node can run, bounded or not.
func vital() map[int]bool { return map[int]bool{12: true, 21: true} } // NET_ADMIN, SYS_ADMIN

func judgeCaps(f host.Facts) []Finding {
	e, caps := f.Engine, f.System.Caps
	localEngine := e.State == host.Running && e.Local || e.State != host.Running && e.Default
	if f.OS != "linux" || !caps.Known || !localEngine || e.State == host.Unsupported || isRootless(e) {
		return nil
	}
	fd := Finding{ID: IDCapabilities, Status: OK, Title: "capabilities", Found: "complete", Needed: "all, or a runtime that leaves out what is missing"}
	missing := caps.Missing()
	if len(missing) == 0 {
		return []Finding{fd}
	}
	fd.Found = "missing: " + strings.Join(fix.CapNames(missing), ", ")
	for _, c := range missing {
		if vital()[c] {
			fd.Status, fd.Why = Fail, "a node needs at least CAP_SYS_ADMIN and CAP_NET_ADMIN; this machine is itself a container with few rights"
			fd.Fix = "use a virtual machine, or start the outer container with --privileged"
			return []Finding{fd}
		}
	}
	fd.Why = "a privileged container asks for every capability; the engine then fails with \"unable to apply caps\""
	switch {
	case e.State == host.Permission || e.State == host.Hangs:
		// The engine runs, and its runtime may be bounded already.
		fd = unknown(fd, fd.Found+"; whether the engine's runtime leaves it out is known when it can be asked")
	case e.State == host.Running && !stockRuntime(e.Info.DefaultRuntime):
		fd.Found += "; default runtime " + e.Info.DefaultRuntime
		fd.Why = ""
	case e.State == host.Running:
		fd.Status = Fail
		fd.Fix = "stop the engine, then: " + fixCommand(f) + " (a running engine is never changed)"
	case f.DaemonCfg.RuntimeThere:
		fd.Found += "; default runtime " + f.DaemonCfg.DefaultRuntime
		fd.Why = ""
	case !stockRuntime(f.DaemonCfg.DefaultRuntime) && f.DaemonCfg.DefaultRuntime != fix.RuntimeName:
		fd.Status = Fail
		fd.Fix = "set \"default-runtime\" in " + host.DaemonJSON + " to a runtime that leaves them out; it names " + f.DaemonCfg.DefaultRuntime + " now"
	default:
		fd.Status, fd.Fix, fd.Fixable = Fail, fixCommand(f), true
	}
	return []Finding{fd}
}

func stockRuntime(name string) bool {
	return name == "" || name == "runc" || name == "crun" || name == "io.containerd.runc.v2"
}

func judgeArch(f host.Facts) Finding {
	engine := map[string]string{"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "amd64": "amd64"}[f.Engine.Info.Architecture]
	fd := Finding{ID: IDArch, Status: OK, Title: "architecture", Found: f.Arch, Needed: "amd64 or arm64"}
	switch {
	case f.Engine.State == host.Running && engine == "":
		fd.Status, fd.Found = Fail, "the engine runs on "+f.Engine.Info.Architecture
		fd.Why = "there are no images for it"
	case f.Engine.State == host.Running && engine != f.Arch:
		fd.Status, fd.Found = Warn, "labctl is "+f.Arch+", the engine "+engine
		fd.Why = "images are made for the platform of labctl and would be emulated, slowly"
		fd.Fix = "install labctl for " + engine
	case f.Arch != "amd64" && f.Arch != "arm64":
		fd.Status, fd.Why = Fail, "there are no images for it"
	}
	return fd
}

func systemLine(f host.Facts) string {
	parts := []string{}
	if f.System.Distro.Name != "" {
		parts = append(parts, f.System.Distro.Name)
	}
	if f.System.Kernel != "" {
		parts = append(parts, "kernel "+f.System.Kernel)
	}
	if f.System.WSL {
		parts = append(parts, "WSL")
	}
	if len(parts) == 0 {
		return f.OS
	}
	return strings.Join(parts, ", ")
}

func engineLine(e host.Engine) string {
	if e.State != host.Running {
		return ""
	}
	s := "Docker " + e.Info.ServerVersion
	if e.Flavor != "" {
		s += fmt.Sprintf(" (%s)", e.Flavor)
	}
	s += fmt.Sprintf(", %s, %s", cpus(e.Info.NCPU), size(e.Info.MemTotal>>20))
	if isRootless(e) {
		s += ", rootless"
	}
	if e.Context != "" && e.Context != "default" {
		s += ", context " + e.Context
	}
	if e.Host != "" {
		s += ", DOCKER_HOST=" + e.Host
	}
	return s
}
