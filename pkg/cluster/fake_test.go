package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/kind/pkg/cluster"
	kindlog "sigs.k8s.io/kind/pkg/log"

	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

const ourDir = "/state/id/0123456789abcdef"

type owner struct{}

func (owner) Owns(source string) bool { return source == ourDir }

// fakeNode is a container of the fake engine.
type fakeNode struct {
	name, status, cluster, mount string
	done                         bool
}

// fakeEngine answers docker commands from a list of containers.
type fakeEngine struct {
	mu       sync.Mutex
	nodes    []fakeNode
	networks map[string]map[string]string // name → labels
	calls    []string
	fail     map[string]string // first words of a command → stderr
	kubeadm  string            // what kubeadm prints
	boots    []string          // what a node prints in each of its lives; nil: it boots
}

var _ execx.Runner = (*fakeEngine)(nil)

func (f *fakeEngine) Run(ctx context.Context, c execx.Cmd) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := strings.Join(c.Args, " ")
	f.calls = append(f.calls, line)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	refuse := func(stderr string) error { return &execx.ExitError{Command: "docker " + line, Code: 1, Stderr: stderr} }
	if c.Args[0] == "exec" && strings.Contains(line, "kubeadm init") {
		fmt.Fprint(c.Stdout, f.kubeadm)
	}
	for prefix, stderr := range f.fail {
		if strings.HasPrefix(line, prefix) {
			return refuse(stderr)
		}
	}
	out := c.Stdout
	if out == nil {
		out = io.Discard
	}
	switch {
	case strings.HasPrefix(line, "ps -a --no-trunc"):
		for _, n := range f.nodes {
			if strings.Contains(line, "label="+kindClusterLabel+"="+n.cluster+" ") {
				fmt.Fprintln(out, n.name)
			}
		}
	case strings.HasPrefix(line, "inspect --type=container"):
		i := f.find(c.Args[2])
		if i < 0 {
			return refuse("Error: No such container: " + c.Args[2])
		}
		return json.NewEncoder(out).Encode([]any{f.nodes[i].inspect()})
	case strings.HasPrefix(line, "inspect --type=image"):
		fmt.Fprint(out, "[{}]")
	case c.Args[0] == "cp":
		node, _, _ := strings.Cut(c.Args[1], ":")
		i := f.find(node)
		if i < 0 || !f.nodes[i].done {
			return refuse("Error: No such container:path: " + c.Args[1])
		}
		return writeTar(out, "labctl-created", `{"schema":1}`)
	case c.Args[0] == "rm":
		for _, id := range c.Args[3:] {
			if i := f.find(strings.TrimPrefix(id, "id-")); i >= 0 {
				f.nodes = slices.Delete(f.nodes, i, i+1)
			}
		}
	case c.Args[0] == "exec" && strings.Contains(line, doneFile):
		for i := range f.nodes {
			f.nodes[i].done = true
		}
	case strings.HasPrefix(line, "network inspect"):
		labels, ok := f.networks[c.Args[2]]
		if !ok {
			return refuse("Error: No such network: " + c.Args[2])
		}
		return json.NewEncoder(out).Encode([]any{map[string]any{"Labels": labels, "Options": map[string]string{}}})
	case strings.HasPrefix(line, "ps -a --filter network="):
		for _, n := range f.nodes {
			fmt.Fprintln(out, n.name)
		}
	case c.Args[0] == "logs":
		if f.boots != nil {
			if len(f.boots) > 0 {
				fmt.Fprint(out, f.boots[0])
				f.boots = f.boots[1:]
			}
			return nil
		}
		fmt.Fprintln(out, "Reached target Multi-User System.")
	case c.Args[0] == "exec" && (strings.Contains(line, "ctr version") || strings.Contains(line, "kubeadm init")):
	case c.Args[0] == "version", c.Args[0] == "exec" && strings.Contains(line, "admin.conf"):
	case c.Args[0] == "stop", c.Args[0] == "start", c.Args[0] == "unpause", c.Args[0] == "network":
	default:
		return errors.New("fake engine: unexpected: docker " + line)
	}
	return nil
}

func (f *fakeEngine) find(name string) int {
	return slices.IndexFunc(f.nodes, func(n fakeNode) bool { return n.name == name })
}

// add makes a node; kind's fake uses it.
func (f *fakeEngine) add(n fakeNode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = append(f.nodes, n)
}

// called gives the commands that begin with a word.
func (f *fakeEngine) called(word string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, c := range f.calls {
		if strings.HasPrefix(c, word+" ") {
			list = append(list, c)
		}
	}
	return list
}

func (n fakeNode) inspect() map[string]any {
	labels := map[string]string{}
	if n.cluster != "" {
		labels[kindClusterLabel] = n.cluster
		labels[kindRoleLabel] = "control-plane"
	}
	mounts := []map[string]string{{"Source": "/var/lib/docker/volumes/x/_data", "Destination": "/var"}}
	if n.mount != "" {
		mounts = append(mounts, map[string]string{"Source": n.mount, "Destination": IDMount})
	}
	return map[string]any{
		"Id": "id-" + n.name, "Name": "/" + n.name, "State": map[string]string{"Status": n.status, "StartedAt": "2026-01-01T00:00:00Z"},
		"Config": map[string]any{"Image": "labctl.local/node:1", "Labels": labels}, "Mounts": mounts,
	}
}

func writeTar(w io.Writer, name, content string) error {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}); err != nil {
		return err
	}
	if _, err := io.WriteString(tw, content); err != nil {
		return err
	}
	if err := tw.Close(); err != nil {
		return err
	}
	_, err := w.Write(buf.Bytes())
	return err
}

// fakeKind is kind's provider.
type fakeKind struct {
	create func(name string) error
	logs   func(dir string) error
}

func (f fakeKind) Create(name string, _ ...cluster.CreateOption) error { return f.create(name) }
func (f fakeKind) CollectLogs(_, dir string) error {
	if f.logs == nil {
		return nil
	}
	return f.logs(dir)
}
func (f fakeKind) KubeConfig(string, bool) (string, error) { return "kind: Config\n", nil }

func newManager(t *testing.T, engine *fakeEngine, k fakeKind) *Manager {
	t.Helper()
	m := New(docker.New(engine), owner{}, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
	m.kind = func(kindlog.Logger) provider { return k }
	return m
}
