package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// graceTime is how long a program that is asked to stop may clean up.
const graceTime = 90 * time.Second

// tailLines is how much of a failed program's messages are shown.
const tailLines = 30

// command runs a program to its end, with env added to its environment, and gives its output and how long it took.
func command(ctx context.Context, env []string, name string, args ...string) (out []byte, seconds float64, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = graceTime
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err = cmd.Run()
	seconds = time.Since(begin).Seconds()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail(stderr.String()))
	}
	return stdout.Bytes(), seconds, err
}

// exited tells whether a program ended by itself with that exit code.
func exited(err error, code int) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == code
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return strings.Join(lines, "\n")
}

// docker runs the engine's client and gives what it printed, trimmed.
func docker(ctx context.Context, args ...string) (string, error) {
	out, _, err := command(ctx, nil, "docker", args...)
	return strings.TrimSpace(string(out)), err
}

// progress tells on standard error what is going on.
func progress(message string) {
	fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), message)
}
