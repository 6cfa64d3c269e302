package cmdutil

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/ui"
)

// Timeout is how long a whole command may take; zero is without end.
type Timeout time.Duration

// AddTimeoutFlag adds --timeout.
func AddTimeoutFlag(fs *pflag.FlagSet, t *Timeout) {
	fs.Var(t, "timeout", "end the command after this time, such as 90s or 10m; 0 is never")
}

// String, Set and Type make Timeout a flag value.
func (t *Timeout) String() string {
	if *t == 0 {
		return "0"
	}
	text := time.Duration(*t).String()
	for _, zero := range []string{"m0s", "h0m"} { // 10m, not 10m0s
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// Set takes a duration that is not negative.
func (t *Timeout) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return errors.New("must be a time such as 90s or 10m")
	}
	*t = Timeout(d)
	return nil
}

// Type names the flag's kind in help texts.
func (t *Timeout) Type() string { return "duration" }

// Run does the work of a command. When the time runs out it ends the work as
// Ctrl-C does, waits until nothing half-made is left, and says what was being
// done. The sink that work gets passes everything on to sink.
func (t *Timeout) Run(ctx context.Context, command string, sink ui.Sink, work func(context.Context, ui.Sink) error) error {
	if *t == 0 {
		return work(ctx, sink)
	}
	// Not context.WithTimeout: a library that sees a deadline gives up before it,
	// with an error of its own.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	steps := &openSteps{sink: sink}
	var doing []string
	over := make(chan struct{})
	timer := time.AfterFunc(time.Duration(*t), func() {
		defer close(over)
		doing = steps.list()
		cancel(&timeoutError{*t})
	})
	err := work(ctx, steps)
	if timer.Stop() {
		return err
	}
	<-over
	var why *timeoutError
	if err == nil || !errors.As(context.Cause(ctx), &why) {
		return err
	}
	out := &clierr.Error{
		Op: command, Err: why, Code: clierr.CodeFailed, ID: "timeout", Detail: clierr.Describe(err).Detail,
		Hint: "finished steps stay, half-made things were removed; the same command goes on from there, with more time or without --timeout",
	}
	if len(doing) > 0 {
		out.Err = fmt.Errorf("%w during: %s", why, strings.Join(doing, ", "))
	}
	if text := err.Error(); text != why.Error() {
		out.Detail = strings.TrimSpace(text + "\n" + out.Detail)
	}
	return out
}

// timeoutError is the cause of everything that ends because --timeout ran out.
type timeoutError struct{ after Timeout }

func (e *timeoutError) Error() string { return "--timeout " + e.after.String() + " ran out" }

// Is makes it a deadline for those who tell one from an interruption: a wait
// then says what it still waited for.
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// openSteps passes events on and knows which steps have begun and not ended.
type openSteps struct {
	sink ui.Sink

	mu    sync.Mutex
	steps []ui.Event
}

// Emit implements ui.Sink.
func (o *openSteps) Emit(e ui.Event) {
	o.mu.Lock()
	switch e.Kind {
	case ui.StepStart:
		o.steps = append(o.steps, e)
	case ui.StepDone, ui.StepFail:
		o.steps = slices.DeleteFunc(o.steps, func(s ui.Event) bool { return s.Step == e.Step })
	default:
	}
	o.mu.Unlock()
	o.sink.Emit(e)
}

// list gives the titles of the steps, in the order in which they began.
func (o *openSteps) list() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	titles := make([]string, 0, len(o.steps))
	for _, s := range o.steps {
		titles = append(titles, s.Title)
	}
	return titles
}
