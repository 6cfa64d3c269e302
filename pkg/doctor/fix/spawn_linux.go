package fix

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// spawn starts a process in a session of its own with its output in a file:
// neither the end of labctl nor of the terminal reaches it.
func spawn(d Daemon) (<-chan error, error) {
	log, err := os.OpenFile(d.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(d.Name, d.Args...) //nolint:noctx // it must outlive every context
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = d.Env, "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan error, 1)
	// Waiting also reaps it, so that it does not stay a zombie while we run.
	go func() { exited <- cmd.Wait() }()
	return exited, nil
}
