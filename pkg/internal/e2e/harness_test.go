//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// clusterName keeps the tests away from a cluster that somebody works with.
const clusterName = "labctl-e2e"

const labName = "model-registry"

// patience bounds one command; a cold start builds every image first.
const patience = 55 * time.Minute

// machine is one user's labctl: a binary and a state directory.
type machine struct {
	bin   string
	state string
	extra []string
}

// newMachine builds nothing: make puts the binary there, and the images.
func newMachine(t *testing.T) *machine {
	t.Helper()
	bin := os.Getenv("LABCTL_BIN")
	if bin == "" {
		t.Fatal("LABCTL_BIN is not set; run make e2e")
	}
	return &machine{bin: bin, state: filepath.Join(t.TempDir(), "state")}
}

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, m.bin, args...)
	cmd.Env = append(os.Environ(), "LABCTL_STATE_DIR="+m.state, "LABCTL_CLUSTER="+clusterName, "NO_COLOR=1")
	cmd.Env = append(cmd.Env, m.extra...)
	return cmd
}

// result is what a command said.
type result struct {
	code           int
	stdout, stderr string
}

// run runs labctl to its end.
func (m *machine) run(t *testing.T, args ...string) result {
	t.Helper()
	// Clean-ups run labctl too, when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	cmd := m.command(ctx, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	r := result{stdout: out.String(), stderr: errOut.String(), code: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("labctl %s: %v", strings.Join(args, " "), err)
	}
	t.Logf("labctl %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.stderr, clip(r.stdout))
	return r
}

// clip shortens a document for the log: that of a proof has a megabyte.
func clip(s string) string {
	const most = 8 << 10
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s\n… (%d bytes in all)", s[:most], len(s))
}

// ok runs labctl and wants success.
func (m *machine) ok(t *testing.T, args ...string) result {
	t.Helper()
	r := m.run(t, args...)
	if r.code != 0 {
		t.Fatalf("labctl %s: exit %d, want 0", strings.Join(args, " "), r.code)
	}
	return r
}

// fails runs labctl and wants the given exit code and words on stderr.
func (m *machine) fails(t *testing.T, code int, words []string, args ...string) result {
	t.Helper()
	r := m.run(t, args...)
	if r.code != code {
		t.Fatalf("labctl %s: exit %d, want %d", strings.Join(args, " "), r.code, code)
	}
	for _, w := range words {
		if !strings.Contains(r.stderr, w) {
			t.Errorf("labctl %s does not say %q", strings.Join(args, " "), w)
		}
	}
	return r
}

// process is a labctl that goes on while the test does other things.
type process struct {
	cmd   *exec.Cmd
	lines chan string
	log   syncBuffer
	out   syncBuffer
}

// syncBuffer can be read while a process still writes to it.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start starts labctl. Lines of stderr can be waited for; everything is logged
// when the process ends.
func (m *machine) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: m.command(context.WithoutCancel(t.Context()), args...), lines: make(chan string, 10000)}
	p.cmd.Stdout = &p.out
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(pipe); s.Scan(); {
			_, _ = p.log.Write([]byte(s.Text() + "\n"))
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		t.Logf("labctl %s:\n%s%s", strings.Join(args, " "), p.log.String(), p.out.String())
	})
	return p
}

// waitFor returns when a line of stderr holds the text.
func (p *process) waitFor(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("labctl ended before it said %q", text)
			}
			if strings.Contains(line, text) {
				return
			}
		case <-deadline:
			t.Fatalf("labctl did not say %q", text)
		}
	}
}

// end waits for the process and gives its exit code; -1 means killed.
func (p *process) end(t *testing.T) int {
	t.Helper()
	for range p.lines {
		// Drains what is left, so that the process can write on.
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill is kill -9: nothing can be tidied up.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.end(t)
}

// docker runs the engine's command line and gives its output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	// Clean-ups call it too, when the test's own context has ended.
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// nodeContainer gives the status of the node's container; empty when there is
// none.
func nodeContainer(t *testing.T) string {
	t.Helper()
	return docker(t, "ps", "-a", "--filter", "name=^"+clusterName+"-control-plane$", "--format", "{{.State}}")
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, within time.Duration, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", within, what)
		case <-tick.C:
		}
	}
}

// decode reads a JSON document.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	return v
}

// getJSON reads a JSON document over HTTP, or says why not.
func getJSON[T any](ctx context.Context, method, url, body string) (T, error) {
	var v T
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return v, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return v, err
	}
	if resp.StatusCode != http.StatusOK {
		return v, errors.New(resp.Status + ": " + string(raw))
	}
	return v, json.Unmarshal(raw, &v)
}

// interrupt is Ctrl-C, and the process must end by itself.
func (p *process) interrupt(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	return p.end(t)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
