package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/release"
	"labctl.dev/labctl/pkg/ui"
)

// Needs of the disk, in MiB, as measured with a built cache: what a lab's
// images take in the cache and unpacked in the node, and what building them
// takes on top.
const (
	diskRunMi   = 6 << 10
	diskBuildMi = 20 << 10
)

// Need says what the machine must have for the named labs; without names, for
// every lab alone, the largest one counting.
func (e *Engine) Need(ctx context.Context, labs ...string) (doctor.Need, error) {
	if len(labs) == 0 {
		all, err := e.Catalog.Names()
		if err != nil {
			return doctor.Need{}, err
		}
		labs = all
	}
	need := doctor.BaseNeed()
	need.DiskMi = diskRunMi
	base := need
	for _, name := range labs {
		p, err := e.plan(ctx, name, Target{})
		if err != nil {
			return need, err
		}
		one, err := e.labNeed(ctx, p)
		if err != nil {
			return need, err
		}
		need.MemoryMi = max(need.MemoryMi, base.MemoryMi+one.MemoryMi)
		need.CPUMilli = max(need.CPUMilli, base.CPUMilli+one.CPUMilli)
		need.MemoryLimitMi = max(need.MemoryLimitMi, base.MemoryMi+one.MemoryLimitMi)
		need.CPULimitMilli = max(need.CPULimitMilli, base.CPUMilli+one.CPULimitMilli)
		need.Labs = append(need.Labs, name)
	}
	build, err := e.Images.BuildsAtHome(ctx)
	if err != nil {
		return need, err
	}
	if build {
		need.NodeImageBuild, need.DiskMi = true, diskBuildMi
	}
	return need, nil
}

// labNeed sums up the pods of one lab; of its Jobs, which end, the limits don't
// count.
func (e *Engine) labNeed(ctx context.Context, p *installation) (doctor.Need, error) {
	m, err := p.render(ctx, e.Images.Names())
	if err != nil {
		return doctor.Need{}, err
	}
	pods, err := m.Pods()
	if err != nil {
		return doctor.Need{}, err
	}
	jobs, err := m.Jobs()
	if err != nil {
		return doctor.Need{}, err
	}
	mi := func(r release.Resources) int64 { return r.MemoryBytes >> 20 }
	return doctor.Need{
		MemoryMi: mi(pods.Requests) + mi(jobs.Requests), CPUMilli: pods.Requests.CPUMilli + jobs.Requests.CPUMilli,
		MemoryLimitMi: mi(pods.Limits), CPULimitMilli: pods.Limits.CPUMilli,
	}, nil
}

// need is what the machine must have for one more lab. What a running cluster
// has already counts as there.
func (e *Engine) need(ctx context.Context, p *installation, st cluster.State) (doctor.Need, error) {
	need, err := e.Need(ctx, p.name)
	if err != nil || st.Phase != cluster.Running {
		return need, err
	}
	client, err := e.connect(ctx, Target{})
	if err != nil {
		e.Log.Debug("can't reach the cluster yet", "error", err)
		return need, context.Cause(ctx)
	}
	used, err := client.Requests(ctx)
	if err != nil {
		// It may still be starting; the cluster step waits for it or says why not.
		e.Log.Debug("can't ask the cluster what its pods request", "error", err)
		return need, context.Cause(ctx)
	}
	base := doctor.BaseNeed()
	need.MemoryMi += max(used.MemoryBytes>>20-base.MemoryMi, 0)
	need.CPUMilli += max(used.CPUMilli-base.CPUMilli, 0)
	need.MemoryInUseMi = base.MemoryMi + max(used.MemoryBytes>>20-base.MemoryMi, 0)
	return need, nil
}

// pressing are the findings that may make this very lab fail.
func pressing() []string {
	return []string{doctor.IDMemory, doctor.IDCPU, doctor.IDDisk, doctor.IDInotifyInstances, doctor.IDInotifyWatches}
}

// judge turns a report into the end of the preflight.
func (e *Engine) judge(report doctor.Report, sink ui.Sink) (string, error) {
	for _, f := range report.Warnings() {
		// The rest is for `labctl doctor`: it would be said at every `up`.
		if slices.Contains(pressing(), f.ID) {
			sink.Emit(ui.Event{Kind: ui.Warn, Text: fmt.Sprintf("%s: %s; %s", f.Title, f.Found, f.Why)})
		}
	}
	failed := report.Failed()
	if len(failed) == 0 {
		return "fit", nil
	}
	var detail []string
	ids := make([]string, 0, len(failed))
	for _, f := range failed {
		detail = append(detail, fmt.Sprintf("%s: found %s, needed %s", f.Title, f.Found, f.Needed))
		if f.Fix != "" {
			detail = append(detail, "    "+f.Fix)
		}
		ids = append(ids, f.ID)
	}
	err := clierr.Unfit(failed[0].ID, fmt.Sprintf("labctl doctor tells more, labctl doctor --fix repairs what it can;\nto go on all the same: --ignore %s", strings.Join(ids, ",")),
		"this machine is not fit: %s", failed[0].Title)
	err.Detail = strings.Join(detail, "\n")
	return "", err
}
