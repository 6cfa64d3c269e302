// Package check runs the checks of a lab and judges what their probes see.
//
// It keeps no history and gives no credit beyond the present run: pkg/progress
// does. It changes nothing itself; what an active check does to the lab is its
// own probe's doing.
package check

import (
	"context"
	"time"

	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/lab"
)

// Status is how a check ended.
type Status string

// Statuses of checks. Only StatusPass is worth points; StatusError is trouble
// of the grader's own path and never costs any.
const (
	StatusPass    Status = "pass"
	StatusFail    Status = "fail"
	StatusBlocked Status = "blocked" // a check of its `after` has not passed
	StatusSkipped Status = "skipped" // an active check that was not asked for
	StatusError   Status = "error"
	StatusWaiting Status = "waiting" // not yet: fails while the lab still moves
)

// Result is what one check came to.
type Result struct {
	ID     string `json:"id"`
	Task   string `json:"task"`
	Status Status `json:"status"`
	Kind   string `json:"kind"` // of the check's own probe
	Points int    `json:"points"`
	Max    int    `json:"max"`
	// Essential checks must pass for their task to pass.
	Essential bool `json:"essential,omitempty"`
	Active    bool `json:"active,omitempty"`
	// Latched is a pass that was kept from an earlier run.
	Latched bool `json:"latched,omitempty"`
	// Along marks a check that ran only because a selected one needs it.
	Along bool `json:"along,omitempty"`
	// Message is one line without the id; empty for a pass.
	Message  string `json:"message,omitempty"`
	Found    string `json:"found,omitempty"`
	Expected string `json:"expected,omitempty"`
	Where    string `json:"where,omitempty"`
	Why      string `json:"why,omitempty"`
	Look     string `json:"look,omitempty"`
	// NearMiss names the mistake that a fail case recognised.
	NearMiss string `json:"nearMiss,omitempty"`
	// Detail is longer evidence, of several lines.
	Detail     string    `json:"detail,omitempty"`
	Attempts   int       `json:"attempts"`
	Seconds    float64   `json:"seconds"`
	ObservedAt time.Time `json:"observedAt,omitzero"`
	// Evidence is what Judge saw last: the variables of the check's own probe
	// under "", those of its further probes under their names.
	Evidence map[string]map[string]any `json:"-"`
}

// Passed tells whether the check passed.
func (r Result) Passed() bool { return r.Status == StatusPass }

// Prober looks at a lab; *probe.Prober does.
type Prober interface {
	Probe(ctx context.Context, spec lab.Probe) (probe.Observation, error)
}

var _ Prober = (*probe.Prober)(nil)

// Request says which checks to run, and how.
type Request struct {
	// Tasks and Checks select by id; with both empty, all checks run. A
	// selected check brings those of its `after` along.
	Tasks, Checks []string
	// Active runs active checks too: after the others, one at a time.
	Active bool
	// Only, where it is not nil, runs exactly these active checks instead.
	Only map[string]bool
	// Latched are passes kept from earlier runs, by check.
	Latched map[string]Result
	// NoWait looks once: a check that fails while the lab moves is waiting.
	NoWait bool
	// OnResult gets each final result as it comes, one at a time.
	OnResult func(Result)
	// OnWaiting gets a check that fails and is tried again, one at a time.
	OnWaiting func(Result)
}
