//go:build unix

package execx

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the process into a group of its own and makes cancellation
// ask the whole group to end before it is killed.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}
