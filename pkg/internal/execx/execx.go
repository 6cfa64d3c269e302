// Package execx runs child processes with a context, and lets tests replace
// them. It knows nothing about any particular program: the docker command line
// lives in pkg/internal/docker.
package execx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Cmd describes one process.
type Cmd struct {
	Name   string
	Args   []string
	Env    []string // added to the environment of this process, as KEY=value
	Dir    string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// String gives the command line for messages.
func (c Cmd) String() string { return strings.Join(append([]string{c.Name}, c.Args...), " ") }

// Runner runs one process to its end. The error of a process that failed is an
// *ExitError.
type Runner interface {
	Run(ctx context.Context, c Cmd) error
}

// ExitError is a process that ran and failed.
type ExitError struct {
	Command string
	Code    int
	Stderr  string // the last lines, also when the caller took stderr itself
}

func (e *ExitError) Error() string {
	msg := fmt.Sprintf("%s: exit status %d", e.Command, e.Code)
	if s := strings.TrimSpace(e.Stderr); s != "" {
		msg += ": " + s
	}
	return msg
}

// Local runs processes on this machine.
type Local struct{}

var _ Runner = Local{}

// stopGrace is how long a process may take to end after it was told to.
const stopGrace = 10 * time.Second

// Run starts the process in a process group of its own, so that a Ctrl-C typed
// at the terminal reaches labctl alone, which then decides what to end. On Linux
// the process is told to end too when labctl itself is killed.
func (Local) Run(ctx context.Context, c Cmd) error {
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	if len(c.Env) > 0 {
		cmd.Env = append(cmd.Environ(), c.Env...)
	}
	tail := &tailWriter{max: 4 << 10}
	cmd.Dir, cmd.Stdin, cmd.Stdout = c.Dir, c.Stdin, c.Stdout
	cmd.Stderr = tail
	if c.Stderr != nil {
		cmd.Stderr = io.MultiWriter(c.Stderr, tail)
	}
	ownGroup(cmd)
	cmd.WaitDelay = stopGrace
	err := run(cmd)
	if ctxErr := context.Cause(ctx); ctxErr != nil && err != nil {
		return fmt.Errorf("%s: %w", c.Name, ctxErr)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &ExitError{Command: c.String(), Code: exit.ExitCode(), Stderr: tail.String()}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", c.Name, err)
	}
	return nil
}

// Output runs the process and gives its stdout.
func Output(ctx context.Context, r Runner, c Cmd) ([]byte, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := r.Run(ctx, c)
	return out.Bytes(), err
}

// tailWriter keeps the last max bytes.
type tailWriter struct {
	max int
	buf []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = t.buf[over:]
	}
	return len(p), nil
}

func (t *tailWriter) String() string { return string(t.buf) }
