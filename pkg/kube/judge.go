package kube

import (
	"time"
)

// How long a trouble may last that often passes by itself.
const (
	graceShort     = 3 * time.Second  // what is nearly certain
	graceRoom      = 20 * time.Second // pods that are just going, as in a reset, free what they asked for once they have ended
	gracePull      = 30 * time.Second // a registry that is just starting
	graceConfig    = 10 * time.Second // a Secret that is just being made
	graceStart     = 45 * time.Second // kubelet tries again after 10 and 20 seconds
	gracePlacement = 30 * time.Second // a node that is just coming
	graceVolume    = time.Minute      // a provisioner that tries again
	// steady is how long a container without a readiness probe must run: it
	// counts as ready as soon as it is started, even if it crashes right after.
	steady = 2 * time.Second
)

// How many restarts make a crash loop. While other workloads are still on their
// way, the crash may be for want of one of them.
const (
	crashesAlone  = 2
	crashesAmidst = 5
)

// judge decides what is hopeless. It remembers since when a trouble lasts and
// how often a container had crashed when everything else was ready.
type judge struct {
	now time.Time
	// final takes every trouble for lasting: for a look without a wait.
	final bool
	since map[string]time.Time
	seen  map[string]bool
	calm  map[string]int32
	// claims are those of this pass that get no volume.
	claims map[string]finding
	// next is when a grace runs out, so that the caller looks again.
	next time.Duration
}

func newJudge() *judge {
	return &judge{since: make(map[string]time.Time), calm: make(map[string]int32)}
}

// begin starts a pass.
func (j *judge) begin(now time.Time) {
	j.now, j.next, j.seen = now, 0, make(map[string]bool)
}

// end forgets troubles that are over.
func (j *judge) end() {
	for key := range j.since {
		if !j.seen[key] {
			delete(j.since, key)
		}
	}
}

// lasts tells whether a trouble has outlasted its grace.
func (j *judge) lasts(key string, grace time.Duration) bool {
	if j.final {
		return true
	}
	j.seen[key] = true
	first, ok := j.since[key]
	if !ok {
		first = j.now
		j.since[key] = first
	}
	left := grace - j.now.Sub(first)
	if left <= 0 {
		return true
	}
	if j.next == 0 || left < j.next {
		j.next = left
	}
	return false
}

// crashes settles the crash loops among rows. A container that crashes while
// something else is not ready yet may be waiting for that in its own way, so it
// gets more tries, and at least one after everything else is ready.
func (j *judge) crashes(rows []WorkloadStatus) {
	calm := true
	for _, r := range rows {
		calm = calm && (r.Ready || r.Failed || r.crash || r.Restarts > 0)
	}
	if !calm {
		clear(j.calm)
	}
	for i := range rows {
		r := &rows[i]
		key := r.Pod + "/" + r.Container
		before, known := j.calm[key]
		if calm && !known && r.Pod != "" {
			before = r.Restarts
			j.calm[key] = before
		}
		if !r.crash || r.Restarts < crashesAlone {
			continue
		}
		if j.final || r.Restarts >= crashesAmidst || calm && r.Restarts > before {
			r.Failed = true
		}
	}
}
