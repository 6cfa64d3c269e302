package doctor

import (
	"fmt"
	"strings"

	"labctl.dev/labctl/pkg/doctor/host"
)

// Limits below which trouble is likely. kind's own advice for inotify is 512
// and 524288; it is for several nodes, one node gets by with a quarter of the
// watches (https://kind.sigs.k8s.io/docs/user/known-issues/).
const (
	wantInotifyInstances = 512
	wantInotifyWatches   = 524288
	wantOpenFiles        = 16384
	wantInodes           = 200_000
)

// capacity gives the engine's memory (MiB) and CPUs: what it says itself when
// it runs, because on a desktop that is a virtual machine, else what this
// machine has.
func capacity(f host.Facts) (memoryMi int64, cpuCount int, known bool) {
	if f.Engine.State == host.Running {
		return f.Engine.Info.MemTotal >> 20, f.Engine.Info.NCPU, true
	}
	if f.OS == "linux" && f.Engine.Default && f.System.MemoryMi > 0 {
		return f.System.MemoryMi, f.CPUs, true
	}
	return 0, 0, false
}

func judgeMemory(f host.Facts, need Need) Finding {
	fd := Finding{ID: IDMemory, Status: OK, Title: "memory"}
	if need.MemoryMi > 0 {
		fd.Needed = size(need.MemoryMi)
		if need.MemoryLimitMi > need.MemoryMi {
			fd.Needed += ", better " + size(need.MemoryLimitMi)
		}
	}
	total, _, known := capacity(f)
	if !known {
		return unknown(fd, "known when the engine runs")
	}
	fd.Found = size(total) + " for the engine"
	local := f.Engine.Local || f.Engine.State != host.Running
	if local && f.System.FreeMi > 0 {
		fd.Found += ", " + size(f.System.FreeMi) + " free now"
	}
	switch {
	case total < need.MemoryMi:
		fd.Status, fd.Why = Fail, "pods would stay Pending for ever, or be killed"
		fd.Fix = memoryAdvice(f, need.MemoryMi)
	case local && f.System.FreeMi > 0 && f.System.FreeMi < need.MemoryMi-need.MemoryInUseMi:
		fd.Status, fd.Why = Warn, "other programs use the memory; the machine may swap or kill pods"
		fd.Fix = "close what is not needed"
	case total < need.MemoryLimitMi:
		fd.Status, fd.Why = Warn, "enough to start; under load pods may be killed for want of memory"
		fd.Fix = memoryAdvice(f, need.MemoryLimitMi)
	}
	return fd
}

func judgeCPU(f host.Facts, need Need) Finding {
	fd := Finding{ID: IDCPU, Status: OK, Title: "CPU"}
	if need.CPUMilli > 0 {
		fd.Needed = cores(need.CPUMilli)
	}
	_, n, known := capacity(f)
	if !known {
		return unknown(fd, "known when the engine runs")
	}
	fd.Found = cpus(n) + " for the engine"
	have := int64(n) * 1000
	switch {
	case have < need.CPUMilli:
		fd.Status, fd.Why = Fail, "the scheduler places no pod whose request does not fit; it would stay Pending for ever"
		fd.Fix = cpuAdvice(f, need.CPUMilli)
	case have < need.CPULimitMilli:
		fd.Status, fd.Why = Warn, "enough to start; pods will be slow when they work at the same time"
		fd.Fix = cpuAdvice(f, need.CPULimitMilli)
	}
	return fd
}

func judgeDisk(f host.Facts, need Need) Finding {
	fd := Finding{ID: IDDisk, Status: OK, Title: "disk"}
	if need.DiskMi > 0 {
		fd.Needed = size(need.DiskMi) + " free"
	}
	switch {
	case f.Disk.Known:
	case f.Engine.State == host.Running:
		return unknown(fd, "inside the engine's virtual machine; not measured")
	default:
		return unknown(fd, "known when the engine runs")
	}
	fd.Found = fmt.Sprintf("%s free of %s at %s", size(f.Disk.FreeMi), size(f.Disk.TotalMi), f.Disk.Path)
	switch {
	case f.Disk.FreeMi < need.DiskMi:
		fd.Status, fd.Why = Fail, "images and volumes would fill the disk; nodes evict pods from 85 % on, databases lose data"
		fd.Fix = "docker system prune, or move the engine's data (\"data-root\" in " + host.DaemonJSON + ")"
	case f.Disk.FreeInodes >= 0 && f.Disk.FreeInodes < wantInodes && f.Disk.TotalMi > 0:
		fd.Status, fd.Found = Warn, fmt.Sprintf("%s, %d inodes left", fd.Found, f.Disk.FreeInodes)
		fd.Why, fd.Fix = "images hold very many small files", "docker system prune"
	}
	return fd
}

func unknown(fd Finding, why string) Finding {
	fd.Status, fd.Found = Skip, why
	return fd
}

// here says whether the kernel that is read is the one that runs the nodes.
func here(f host.Facts) bool {
	return f.OS == "linux" && (f.Engine.State == host.Running && f.Engine.Local || f.Engine.State != host.Running && f.Engine.Default)
}

func judgeInotify(f host.Facts) []Finding {
	if !here(f) {
		return nil
	}
	one := func(id, title, key string, have, want int64, why string) Finding {
		fd := Finding{ID: id, Status: OK, Title: title, Found: fmt.Sprint(have), Needed: fmt.Sprint(want)}
		switch {
		case have == 0:
			return unknown(fd, "can't be read")
		case have < want:
			fd.Status, fd.Why, fd.Fixable = Warn, why, true
			fd.Fix = fmt.Sprintf("sudo sysctl -w fs.inotify.%s=%d", key, want)
		}
		return fd
	}
	why := "one small lab gets by; with more, pods fail with \"too many open files\""
	return []Finding{
		one(IDInotifyInstances, "inotify instances", "max_user_instances", f.System.InotifyInstances, wantInotifyInstances, why),
		one(IDInotifyWatches, "inotify watches", "max_user_watches", f.System.InotifyWatches, wantInotifyWatches, why),
	}
}

func judgeOpenFiles(f host.Facts) []Finding {
	n := f.System.OpenFiles
	if !here(f) || n == 0 {
		return nil
	}
	fd := Finding{ID: IDOpenFiles, Status: OK, Title: "open files", Found: fmt.Sprint(n), Needed: fmt.Sprint(wantOpenFiles)}
	switch {
	case n < 0:
		fd.Found = "no limit"
	case n < wantOpenFiles:
		fd.Status, fd.Why = Warn, "the node's containers inherit this limit; databases and containerd run into it"
		fd.Fix = "ulimit -Hn 65536 before the engine starts, or LimitNOFILE in its systemd unit"
	}
	return []Finding{fd}
}

func judgePorts(f host.Facts) []Finding {
	if len(f.Ports) == 0 {
		return nil
	}
	fd := Finding{ID: IDPorts, Status: OK, Title: "ports on 127.0.0.1", Needed: "free"}
	var free, taken []string
	denied := false
	for _, p := range f.Ports {
		switch {
		case !p.Busy:
			free = append(free, fmt.Sprint(p.Number))
		case p.Ours:
			free = append(free, fmt.Sprintf("%d (ours)", p.Number))
		case p.Denied:
			denied = true
			taken = append(taken, fmt.Sprintf("%d may not be opened by this user", p.Number))
		case p.Holder != "":
			taken = append(taken, fmt.Sprintf("%d is held by %s", p.Number, p.Holder))
		default:
			taken = append(taken, fmt.Sprintf("%d is taken", p.Number))
		}
	}
	if len(taken) == 0 {
		fd.Found = "free: " + strings.Join(free, ", ")
		return []Finding{fd}
	}
	fd.Status, fd.Found = Fail, strings.Join(taken, "; ")
	fd.Why, fd.Fix = "the engine can't publish a port that somebody else has", "end that program, or choose another port"
	if denied {
		fd.Fix = "choose a port above 1023"
	}
	return []Finding{fd}
}

// size prints MiB for people.
func size(mi int64) string {
	if mi < 1024 {
		return fmt.Sprintf("%d MiB", mi)
	}
	return fmt.Sprintf("%.1f GiB", float64(mi)/1024)
}

func cpus(n int) string {
	if n == 1 {
		return "1 CPU"
	}
	return fmt.Sprintf("%d CPUs", n)
}

func cores(milli int64) string {
	if milli == 1000 {
		return cpus(1)
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", float64(milli)/1000), "0"), ".") + " CPUs"
}
