package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
)

func (r *Runner) readExec(spec *lab.ExecProbe) work {
	timeout := cmp.Or(spec.Timeout, lab.DefaultTimeout)
	return func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it has not ended after %s", timeout))
		defer cancel()
		out := &tail{}
		// A step before this one may have restarted the pod.
		tick := time.NewTicker(r.poll)
		defer tick.Stop()
		for {
			err := r.exec(ctx, kube.Exec{
				Namespace: r.namespace, Selector: cmp.Or(spec.Selector, lab.DefaultSelector), Container: spec.Container,
				Command: spec.Argv, Stdout: out, Stderr: out,
			})
			if !errors.Is(err, kube.ErrNoPod) && !errors.Is(err, kube.ErrNotRunning) {
				return out.String(), err
			}
			select {
			case <-ctx.Done():
				return "", err
			case <-tick.C:
			}
		}
	}
}

const (
	tailBytes = 8 << 10
	tailLines = 20
)

// tail keeps the end of what is written to it. Both streams of a command write
// at once.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - tailBytes; n > 0 {
		t.buf, t.cut = append(t.buf[:0], t.buf[n:]...), true
	}
	return len(p), nil
}

// String gives the last lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimRight(strings.ToValidUTF8(string(t.buf), "?"), "\n ")
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	if t.cut {
		lines = lines[1:] // it begins in the middle
	}
	if n := len(lines) - tailLines; n > 0 {
		lines = lines[n:]
	}
	return strings.Join(lines, "\n")
}
