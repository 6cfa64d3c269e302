// Package doctor says whether a machine is fit for labs, what is wrong, why it
// matters and which command repairs it, and repairs what it safely can. Each
// finding has a stable id, explained in docs/doctor.md.
//
// It is not for the state of a cluster or a lab; those are judged by the
// packages that make them.
package doctor

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"labctl.dev/labctl/pkg/doctor/fix"
	"labctl.dev/labctl/pkg/doctor/host"
)

// Need is what is asked of the machine. A zero field asks for nothing.
type Need struct {
	// MemoryMi and CPUMilli are the sum of requests; less refuses.
	MemoryMi, CPUMilli int64
	// MemoryLimitMi and CPULimitMilli are the sum of limits; less warns.
	MemoryLimitMi, CPULimitMilli int64
	// MemoryInUseMi is the part of MemoryMi that a running cluster already has.
	MemoryInUseMi int64
	// DiskMi must be free where the engine keeps its data.
	DiskMi int64
	// Ports must be free on 127.0.0.1, or held by a container of labctl.
	Ports []int
	// Labs names what the figures are for; for the report only.
	Labs []string
	// NodeImageBuild asks for the tools that build images where no registry is reachable.
	NodeImageBuild bool
}

// BaseNeed is what a cluster without labs needs: the control plane requests
// 950m CPU and 290 MiB; the rest is room for containerd, the kubelet and caches.
func BaseNeed() Need { return Need{MemoryMi: 1800, CPUMilli: 1000, DiskMi: 6 << 10} }

// Status says how a finding stands.
type Status string

// The states of a finding. Skip means that it could not be looked at.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Finding is one thing that was looked at.
type Finding struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	// Title names the thing, Found what is there, Needed what should be.
	Title  string `json:"title"`
	Found  string `json:"found"`
	Needed string `json:"needed,omitempty"`
	// Why says what goes wrong otherwise; Fix is the command a person would type.
	Why string `json:"why,omitempty"`
	Fix string `json:"fix,omitempty"`
	// Fixable is true when `labctl doctor --fix` can do it.
	Fixable bool `json:"fixable"`
	// Ignored is true when the user asked to go on in spite of it.
	Ignored bool `json:"ignored,omitempty"`
}

// Report is everything that was found; Text gives it for people.
type Report struct {
	Version  string    `json:"version"`
	Platform string    `json:"platform"`
	System   string    `json:"system,omitempty"`
	Engine   string    `json:"engine,omitempty"`
	Labs     []string  `json:"labs,omitempty"`
	Time     time.Time `json:"time"`
	// Fit is true when nothing failed that was not ignored.
	Fit      bool      `json:"fit"`
	Findings []Finding `json:"findings"`
}

// Failed gives the findings that make the machine unfit.
func (r Report) Failed() []Finding {
	return r.filter(func(f Finding) bool { return f.Status == Fail && !f.Ignored })
}

// Warnings gives the findings that may cause trouble.
func (r Report) Warnings() []Finding {
	return r.filter(func(f Finding) bool { return f.Status == Warn })
}

// Fixable gives the findings that Fix would work on.
func (r Report) Fixable() []Finding {
	return r.filter(func(f Finding) bool { return f.Fixable && !f.Ignored && (f.Status == Fail || f.Status == Warn) })
}

// Find gives the finding with that id.
func (r Report) Find(id string) (Finding, bool) {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == id })
	if i < 0 {
		return Finding{}, false
	}
	return r.Findings[i], true
}

func (r Report) filter(keep func(Finding) bool) []Finding {
	var out []Finding
	for _, f := range r.Findings {
		if keep(f) {
			out = append(out, f)
		}
	}
	return out
}

// Deps is what a Doctor works with.
type Deps struct {
	Machine host.Machine
	// Version is labctl's own version, for the report.
	Version string
	// Fixer changes the machine; see fix.Local.
	Fixer *fix.Fixer
	// Timeouts bound the probes; zero means the defaults.
	Timeouts host.Timeouts
}

// Local gives the dependencies for the machine that labctl runs on. The log of
// an engine that is started here goes to stateDir.
func Local(version, stateDir string) Deps {
	m := host.Local()
	return Deps{Machine: m, Version: version, Fixer: fix.Local(m, filepath.Join(stateDir, "logs"))}
}

// Doctor examines one machine.
type Doctor struct {
	deps Deps
}

// New makes a Doctor.
func New(deps Deps) *Doctor { return &Doctor{deps: deps} }

// Check looks at the machine. Findings whose id is in ignore still show, but
// do not make the machine unfit.
func (d *Doctor) Check(ctx context.Context, need Need, ignore []string) Report {
	m := d.deps.Machine
	facts := host.Gather(ctx, m, host.Ask{Ports: need.Ports, BuildTools: need.NodeImageBuild}, d.deps.Timeouts)
	r := Report{
		Version: d.deps.Version, Platform: m.OS + "/" + m.Arch, System: systemLine(facts), Engine: engineLine(facts.Engine),
		Labs: need.Labs, Time: m.Now().UTC().Truncate(time.Second), Fit: true, Findings: judge(facts, need),
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Ignored = f.Status == Fail && slices.Contains(ignore, f.ID)
		if f.Status == Fail && !f.Ignored {
			r.Fit = false
		}
	}
	return r
}
