//go:build unix

package execx_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/internal/execx"
)

func sh(script string) execx.Cmd { return execx.Cmd{Name: "sh", Args: []string{"-c", script}} }

func TestOutput(t *testing.T) {
	t.Parallel()
	c := sh(`cat; echo " $GREETING"; pwd; echo noise >&2`)
	c.Stdin, c.Env, c.Dir = strings.NewReader("hello"), []string{"GREETING=world"}, "/"
	out, err := execx.Output(t.Context(), execx.Local{}, c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("hello world\n/\n", string(out)); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
}

func TestExitError(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	c := sh(`echo first >&2; echo last >&2; exit 7`)
	c.Stderr = &errOut
	err := execx.Local{}.Run(t.Context(), c)
	var exit *execx.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("error %v", err)
	}
	want := &execx.ExitError{Command: c.String(), Code: 7, Stderr: "first\nlast\n"}
	if diff := cmp.Diff(want, exit); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if errOut.String() != exit.Stderr {
		t.Errorf("the caller's stderr has %q", errOut.String())
	}
	if msg := err.Error(); !strings.HasSuffix(msg, "exit status 7: first\nlast") {
		t.Errorf("message %q", msg)
	}
}

// A program that writes much before it fails says why at the end.
func TestExitErrorKeepsTheTail(t *testing.T) {
	t.Parallel()
	err := execx.Local{}.Run(t.Context(), sh(`i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1`))
	var exit *execx.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("error %v", err)
	}
	if len(exit.Stderr) != 4<<10 || !strings.HasSuffix(exit.Stderr, "line 1998\nline 1999\n") {
		t.Errorf("%d bytes that end with %q", len(exit.Stderr), exit.Stderr[max(0, len(exit.Stderr)-30):])
	}
}

func TestNoSuchProgram(t *testing.T) {
	t.Parallel()
	err := execx.Local{}.Run(t.Context(), execx.Cmd{Name: "no-such-program-here"})
	if !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

// TestCancel ends a process whose child would live on: the pipe that both hold
// is at its end only when both are gone.
func TestCancel(t *testing.T) {
	t.Parallel()
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	c := sh(`sleep 1000 & echo started; wait`)
	c.Stdout = w
	ended := make(chan error, 1)
	go func() {
		ended <- execx.Local{}.Run(ctx, c)
		_ = w.Close()
	}()
	out := bufio.NewReader(r)
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cancel(stop)
	if err := <-ended; !errors.Is(err, stop) {
		t.Errorf("error %v, want the cause of the cancellation", err)
	}
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := out.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the child lives on: %v", err)
	}
}
