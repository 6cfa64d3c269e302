package execx

import (
	"os/exec"
	"runtime"
	"syscall"
)

// run runs a process that the kernel tells to end when labctl is killed and
// can't do so itself. What the process has started is not told: docker and kind
// leave their work to the engine, which sees that they went.
func run(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	done := make(chan error, 1)
	go func() {
		// The signal comes when the thread that started the process ends, so the
		// thread has to stay for as long, see https://go.dev/issue/27505.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- cmd.Run()
	}()
	return <-done
}
