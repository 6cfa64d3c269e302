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

// Runner runs the checks of one lab. It is safe for concurrent use.
type Runner struct {
	lab       *lab.Lab
	namespace string
	prober    Prober
	options   options
}

type options struct {
	exclusive func(context.Context) (func(), error)
	scale     float64
	expect    map[string]string
}

// Option changes how a Runner works.
type Option func(*options)

// WithExclusive gets the right to change the lab before an active check, and
// gives it back afterwards.
func WithExclusive(f func(ctx context.Context) (release func(), err error)) Option {
	return func(o *options) { o.exclusive = f }
}

// WithCalibration stretches deadlines on a slow machine; factors below one
// count as one. Expressions see it as lab.calibration.
func WithCalibration(factor float64) Option { return func(o *options) { o.scale = factor } }

// WithExpect replaces what checks expect, by check: for proofs that a check
// can fail.
func WithExpect(expect map[string]string) Option {
	return func(o *options) { o.expect = expect }
}

// New makes a Runner. It compiles all expressions of the lab's checks; the
// error lists every mistake.
func New(l *lab.Lab, namespace string, p Prober, opts ...Option) (*Runner, error) {
	r := &Runner{lab: l, namespace: namespace, prober: p}
	for _, o := range opts {
		o(&r.options)
	}
	return r, nil
}

// Run runs the checks that are asked for. Results come in the order of the
// file. The error is that of a request for something the lab does not have, or
// of a context that ended.
func (r *Runner) Run(ctx context.Context, _ Request) ([]Result, error) {
	return nil, context.Cause(ctx)
}

// Judge decides a check from recorded evidence.
func (r *Runner) Judge(c *lab.Check, evidence map[string]map[string]any) Result {
	return Result{ID: c.ID, Evidence: evidence}
}
