package host

import (
	"context"
	"strconv"
	"time"
)

// Ask says which facts are wanted beyond those that are always read.
type Ask struct {
	Ports      []int
	BuildTools bool
}

// Facts is what was found. A part that could not be read says so itself.
type Facts struct {
	OS, Arch  string
	Admin     bool // root
	CPUs      int
	System    System
	Engine    Engine
	Disk      DiskAt
	Ports     []Port
	Proxy     Proxy
	CA        CA
	Others    []OtherLabctl
	Tools     Tools
	HasApt    bool
	DaemonCfg DaemonConfig
}

// Timeouts bound each probe; the zero value means the defaults.
type Timeouts struct {
	Engine time.Duration
	Other  time.Duration
}

const (
	engineTimeout = 8 * time.Second
	otherTimeout  = 2 * time.Second
)

// Gather reads all facts side by side. It always returns within the sum of
// the two timeouts, whatever hangs.
func Gather(ctx context.Context, m Machine, ask Ask, t Timeouts) Facts {
	if t.Engine == 0 {
		t.Engine = engineTimeout
	}
	if t.Other == 0 {
		t.Other = otherTimeout
	}
	engine := async(ctx, t.Engine, Engine{State: Hangs, Client: m.Find("docker")}, m.engine)
	system := async(ctx, t.Other, System{}, m.system)
	proxy := async(ctx, t.Other, Proxy{}, func(context.Context) Proxy { return m.proxy() })
	ca := async(ctx, t.Other, CA{}, func(context.Context) CA { return m.ca() })
	others := async(ctx, t.Other, nil, m.others)
	ports := async(ctx, t.Other, nil, func(ctx context.Context) []Port { return m.ports(ctx, ask.Ports) })
	tools := async(ctx, t.Other, Tools{}, func(ctx context.Context) Tools { return m.tools(ctx, ask.BuildTools) })

	f := Facts{OS: m.OS, Arch: m.Arch, CPUs: m.CPUs, Engine: engine(), DaemonCfg: m.daemonConfig()}
	f.Admin = m.OS == "linux" && m.Euid() == 0
	f.HasApt = m.OS == "linux" && m.Find("apt-get") != ""
	// What follows depends on the engine's answer: where its data is, which
	// process it is, and which container holds a port.
	disk := async(ctx, t.Other, DiskAt{}, func(context.Context) DiskAt { return m.disk(f.Engine) })
	f.System = system()
	f.Ports = async(ctx, t.Other, nil, func(ctx context.Context) []Port { return m.holders(ctx, f.Engine, ports()) })()
	f.System = m.engineLimits(f.System, f.Engine)
	f.Proxy, f.CA, f.Others, f.Tools, f.Disk = proxy(), ca(), others(), tools(), disk()
	return f
}

// async starts f at once and gives a function that waits for its answer, but
// not longer than limit: then it is the fallback. The late answer is dropped.
func async[T any](ctx context.Context, limit time.Duration, fallback T, f func(context.Context) T) func() T {
	ctx, cancel := context.WithTimeout(ctx, limit)
	ch := make(chan T, 1)
	go func() { ch <- f(ctx) }()
	return func() T {
		defer cancel()
		select {
		case v := <-ch:
			return v
		case <-ctx.Done():
		}
		// An answer that came just in time wins over the timeout.
		select {
		case v := <-ch:
			return v
		default:
			return fallback
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
