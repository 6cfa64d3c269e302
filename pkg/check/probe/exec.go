package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
)

// Exit codes that a shell has for commands that can't be started.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// maxStderr is how much of the end of stderr is kept.
const maxStderr = 2 << 10

func (p *Prober) exec(ctx context.Context, spec *lab.ExecProbe) (Observation, error) {
	if len(spec.Argv) == 0 {
		return Observation{}, &TroubleError{Err: errors.New("the exec probe has no command")}
	}
	selector, err := labels.Parse(cmp.Or(spec.Selector, lab.DefaultSelector))
	if err != nil {
		return Observation{}, lasting(err, "This is a mistake in the lab: labctl lint.")
	}
	look, err := p.look(ctx)
	if err != nil {
		return Observation{}, err
	}
	workbench := selector.String() == lab.DefaultSelector
	pod, settling, err := look.Pod(selector)
	if err != nil {
		return Observation{}, trouble(err)
	}
	if pod == "" {
		return p.podless(selector.String(), workbench, settling)
	}
	argv := spec.Argv
	if workbench {
		// What tools print must not depend on anybody's language.
		argv = append([]string{"env", "LC_ALL=C"}, argv...)
	}
	timeout := cmp.Or(spec.Timeout, lab.DefaultTimeout)
	running, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	stdout, stderr := &head{max: maxBody}, &tail{max: maxStderr}
	err = p.client.Exec(running, kube.Exec{
		Namespace: p.namespace, Pod: pod, Container: spec.Container, Command: argv, Stdout: stdout, Stderr: stderr,
	})
	code, err := exitCode(err)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Observation{}, context.Cause(ctx)
	case errors.Is(err, errTimeout):
		return Observation{}, lasting(fmt.Errorf("%s has not ended after %s", short(strings.Join(spec.Argv, " ")), timeout.Round(time.Second)),
			"A small machine may be busy; run the command again.")
	default:
		return Observation{}, trouble(err)
	}
	out, whole := stdout.text()
	o := Observation{Vars: map[string]any{"exitCode": int64(code), "stdout": out, "json": nil}, Detail: stderr.text()}
	if doc, ok := parse([]byte(out)).(map[string]any); ok && whole {
		o.Vars["json"] = doc
	}
	if !whole {
		o.Detail = strings.TrimSpace("only the first MiB of stdout was read\n" + o.Detail)
	}
	return o, nil
}

var errTimeout = errors.New("it has not ended in time")

// exitCode tells commands that ended from those of which nothing is known.
func exitCode(err error) (int, error) {
	var exit *kube.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return exit.Code, nil
	}
	// The runtime has no code for a command that it can't start.
	text := err.Error()
	switch {
	case !strings.Contains(text, "exec"):
		return 0, err
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		return exitNotFound, nil
	case strings.Contains(text, "permission denied"):
		return exitNotExecutable, nil
	default:
		return 0, err
	}
}

// podless says what it means that no pod runs. The workbench is the grader's
// own way into the lab; any other pod is part of what is graded.
func (p *Prober) podless(selector string, workbench bool, s kube.Settling) (Observation, error) {
	if !workbench {
		o := Observation{Vars: map[string]any{}, Silent: "no pod with " + selector + " runs"}
		o.settle(s)
		return o, nil
	}
	switch {
	case s.Moving != "":
		return Observation{}, &TroubleError{Err: fmt.Errorf("the workbench is not ready yet: %s", s.Moving), Moving: s.Moving}
	case s.Hopeless != "":
		return Observation{}, lasting(fmt.Errorf("the workbench can't start: %s", s.Hopeless), "labctl status says more; labctl reset brings the lab back.")
	default:
		return Observation{}, &TroubleError{Err: clierr.New(
			"If it was deleted or scaled to zero: kubectl scale deployment/workbench --replicas=1, or labctl reset.",
			"checks run their commands in the lab's workbench, and no pod with %s runs", selector)}
	}
}

// head keeps the begin of what is written to it. It never fails: a command must
// not be cut off because it prints too much.
type head struct {
	max int

	mu  sync.Mutex
	buf bytes.Buffer
	cut bool
}

func (h *head) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := h.max - h.buf.Len(); room < len(b) {
		h.cut = true
		h.buf.Write(b[:room])
	} else {
		h.buf.Write(b)
	}
	return len(b), nil
}

func (h *head) text() (text string, whole bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.ToValidUTF8(h.buf.String(), "\uFFFD"), !h.cut
}

// tail keeps the end of what is written to it.
type tail struct {
	max int

	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(strings.ToValidUTF8(string(t.buf), "\uFFFD"))
}
