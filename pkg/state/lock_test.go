package state_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"labctl.dev/labctl/pkg/state"
)

func TestLock(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	unlock, err := open(t, root).Lock(t.Context(), "labctl", "labctl up serving", nil)
	if err != nil {
		t.Fatal(err)
	}
	// Another lock of another name does not wait.
	other, err := open(t, root).Lock(t.Context(), "other", "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	other()

	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("tired")
	var holder state.Holder
	_, err = open(t, root).Lock(ctx, "labctl", "x", func(h state.Holder) { holder = h; cancel(why) })
	if !errors.Is(err, why) {
		t.Errorf("a wait that ended gave %v", err)
	}
	if holder.PID != os.Getpid() || holder.Command != "labctl up serving" {
		t.Errorf("holder %+v", holder)
	}

	// A waiting process gets the lock when it is released.
	calls := 0
	unlock2, err := open(t, root).Lock(t.Context(), "labctl", "second", func(state.Holder) { calls++; unlock() })
	if err != nil {
		t.Fatal(err)
	}
	if calls != 1 {
		t.Errorf("told %d times", calls)
	}
	unlock() // a second time does not free somebody else's lock
	ctx, cancel = context.WithCancelCause(t.Context())
	if _, err = open(t, root).Lock(ctx, "labctl", "x", func(h state.Holder) { holder = h; cancel(why) }); !errors.Is(err, why) {
		t.Errorf("the second lock is not held: %v", err)
	}
	if holder.Command != "second" {
		t.Errorf("holder %+v", holder)
	}
	unlock2()
}

// TestLockOfKilledProcess holds the lock in a child process that is killed.
func TestLockOfKilledProcess(t *testing.T) {
	const env = "LABCTL_TEST_HOLD_LOCK"
	if root := os.Getenv(env); root != "" {
		if _, err := open(t, root).Lock(t.Context(), "labctl", "child", nil); err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("held\n") //nolint:forbidigo // the child process has no streams but its own
		select {}
	}
	t.Parallel()
	root := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockOfKilledProcess$")
	child.Env = append(os.Environ(), env+"="+root)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	unlock, err := open(t, root).Lock(t.Context(), "labctl", "x", func(h state.Holder) {
		if h.PID != child.Process.Pid || h.Command != "child" {
			t.Errorf("holder %+v", h)
		}
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
