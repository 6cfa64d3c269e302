package execx_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/internal/execx"
)

// roleKey makes this test binary one of the processes of TestKilledParent.
const roleKey = "EXECX_TEST_ROLE"

//nolint:forbidigo // the child processes have no streams but their own
func TestMain(m *testing.M) {
	switch os.Getenv(roleKey) {
	case "parent":
		err := execx.Local{}.Run(context.Background(), execx.Cmd{Name: os.Args[0], Env: []string{roleKey + "=child"}, Stdin: os.Stdin, Stdout: os.Stdout})
		fmt.Println("the child ended first:", err)
	case "child":
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin) // for as long as the test holds the other end
		fmt.Println("the child was left alone")
	default:
		m.Run()
	}
}

// A process ends when the one that runs it is killed.
func TestKilledParent(t *testing.T) {
	t.Parallel()
	stdout, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), roleKey+"=parent")
	parent.Stdout = theirs
	stdin, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	if err := stdout.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Errorf("got %q, %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Error(err)
	}
	// The pipe ends when nobody holds its other end.
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("the child lives on: %q, %v", rest, err)
	}
	_ = parent.Wait() // it was killed; Wait closes stdin, which ends the child in any case
}
