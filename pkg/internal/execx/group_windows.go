package execx

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a console Ctrl-C away from the process.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
