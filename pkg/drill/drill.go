// Package drill runs steps on a lab that is up: solutions, faults and their
// repair, near-misses and alternatives.
//
// It does what the steps say and nothing else: it judges no outcome (pkg/check
// does), remembers nothing (pkg/progress does), and knows nothing of tasks or
// points.
package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
)

// Manager is the field manager of what steps apply.
const Manager = "solution"

// Prober looks at a lab; *probe.Prober does.
type Prober interface {
	Probe(ctx context.Context, spec lab.Probe) (probe.Observation, error)
}

// Config is what a Runner works with.
type Config struct {
	Client    *kube.Client
	Namespace string
	// Files is the lab's directory, for the manifests of steps.
	Files  fs.FS
	Prober Prober
	Lab    *lab.Lab
}

// Runner runs steps on one lab.
type Runner struct {
	namespace string
	files     fs.FS
	prober    Prober
	lab       *lab.Lab

	// What reaches the cluster.
	apply func(ctx context.Context, o *unstructured.Unstructured) error
	exec  func(ctx context.Context, e kube.Exec) error
	poll  time.Duration
}

// pollInterval is the time between two looks of a wait.
const pollInterval = 500 * time.Millisecond

// New makes a Runner. It does not connect.
func New(cfg Config) *Runner {
	r := &Runner{namespace: cfg.Namespace, files: cfg.Files, prober: cfg.Prober, lab: cfg.Lab, exec: cfg.Client.Exec, poll: pollInterval}
	objects, err := cfg.Client.Objects(cfg.Namespace)
	r.apply = func(ctx context.Context, o *unstructured.Unstructured) error {
		if err != nil {
			return err
		}
		return objects.Apply(ctx, o, Manager)
	}
	return r
}

// StepError is a step that failed, or can't be run at all.
type StepError struct {
	// Index counts from one, of N.
	Index, N int
	// Text is the step for people.
	Text string
	Err  error
	// Output is the end of what the step printed or saw.
	Output string
	// Hint says what to do.
	Hint string
}

func (e *StepError) Error() string {
	return fmt.Sprintf("step %d of %d (%s): %v", e.Index, e.N, e.Text, e.Err)
}

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }

// work is a step that was read and found good.
type work func(ctx context.Context) (output string, err error)

// Run runs steps one after the other and stops at the first that fails, with a
// *StepError. All of them are read before the first one runs. onStep (may be
// nil) is told before each: its number from one, how many there are, and the
// step for people. When ctx ends, the error is its cause.
func (r *Runner) Run(ctx context.Context, steps []lab.Step, onStep func(i, n int, text string)) error {
	list := make([]work, len(steps))
	for i, s := range steps {
		w, err := r.read(s)
		if err != nil {
			return &StepError{Index: i + 1, N: len(steps), Text: Text(s), Err: err, Hint: "Correct the lab: labctl lint names what is wrong."}
		}
		list[i] = w
	}
	for i, w := range list {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		text := Text(steps[i])
		if onStep != nil {
			onStep(i+1, len(steps), text)
		}
		output, err := w(ctx)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return cause
		}
		if err != nil {
			return &StepError{Index: i + 1, N: len(steps), Text: text, Err: err, Output: output, Hint: hint(steps[i], err)}
		}
	}
	return nil
}

// read turns a step into work.
func (r *Runner) read(s lab.Step) (work, error) {
	switch {
	case s.Apply != "":
		return r.readApply(s.Apply)
	case s.Exec != nil:
		return r.readExec(s.Exec), nil
	case s.Wait != nil:
		return r.readWait(s.Wait)
	default:
		return nil, errors.New("the step says nothing to do")
	}
}

// Text gives a step for people: "apply solutions/x.yaml".
func Text(s lab.Step) string {
	switch {
	case s.Apply != "":
		return "apply " + s.Apply
	case s.Exec != nil:
		return "run " + short(strings.Join(s.Exec.Argv, " "))
	case s.Wait != nil:
		return "wait for " + probe.Where(s.Wait.Probe)
	default:
		return "nothing"
	}
}

// short gives the begin of a command on one line.
func short(s string) string {
	const most = 70
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// hint says what to do about a step that failed.
func hint(s lab.Step, err error) string {
	var exit *kube.ExitError
	switch {
	case errors.As(err, &exit):
		return "Its output says why. What it has done so far stays; the same command can be run again, or labctl reset starts afresh."
	case errors.Is(err, kube.ErrNoPod), errors.Is(err, kube.ErrNotRunning):
		return "labctl status shows whether the pod runs; labctl reset brings it back."
	case s.Wait != nil:
		return "labctl status and labctl logs show what holds it up; then run the same command again."
	default:
		return "Run the same command again; labctl reset starts afresh."
	}
}
