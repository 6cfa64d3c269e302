package image_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/ui"
)

const digest = "@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716"

func definitions() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	fsys := fstest.MapFS{
		"debian/image.yaml": file("name: debian\ndescription: root\nbuild: rootfs\npublic: docker.io/library/debian" + digest + "\n"),
		"node/image.yaml":   file("name: node\ndescription: kind node\nbuild: node\npublic: docker.io/kindest/node" + digest + "\n"),
	}
	for n, base := range map[string]string{"registry": "", "app": "bases: {BASE: debian}\n", "web": "bases: {BASE: debian}\n", "job": "bases: {BASE: app}\n"} {
		fsys[n+"/image.yaml"] = file("name: " + n + "\ndescription: d\nbuild: dockerfile\n" + base)
		fsys[n+"/Dockerfile"] = file("ARG BASE\nFROM ${BASE}\n")
	}
	return fsys
}

// fakeEngine is the edge of the machine: a docker command that keeps images in
// memory, and a real registry of this process as the cache.
type fakeEngine struct {
	t     *testing.T
	blobs string // directory of the cache's blobs

	mu      sync.Mutex
	images  map[string]v1.Image
	volume  http.Handler // what the cache holds
	server  *httptest.Server
	port    string
	runs    string          // image that the cache's container has; "" is no container
	nets    map[string]bool // networks of the cache's container
	calls   []string
	failOn  map[string]error  // by prefix of the command line
	says    map[string]string // what it prints, by the same
	onBuild func()
}

var _ execx.Runner = (*fakeEngine)(nil)

func newEngine(t *testing.T) *fakeEngine {
	t.Helper()
	e := &fakeEngine{t: t, blobs: t.TempDir(), images: map[string]v1.Image{}, failOn: map[string]error{}, says: map[string]string{}}
	e.volume = newRegistry(e.blobs)
	t.Cleanup(e.stop)
	return e
}

func newRegistry(blobs string) http.Handler {
	return registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)))
}

// start runs the cache where its container would publish it.
func (e *fakeEngine) start(publish string) error {
	addr := strings.TrimSuffix(publish, ":5000")
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	_, e.port, err = net.SplitHostPort(addr)
	e.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: e.volume}}
	e.server.Start()
	return err
}

func (e *fakeEngine) stop() {
	if e.server != nil {
		e.server.Close()
		e.server = nil
	}
}

func testRegistry(t *testing.T) (addr, dir string) {
	t.Helper()
	dir = t.TempDir()
	srv := httptest.NewServer(newRegistry(dir))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://"), dir
}

func notFound(what string) error {
	return &execx.ExitError{Command: "docker", Code: 1, Stderr: "Error: No such " + what}
}

func (e *fakeEngine) Run(ctx context.Context, c execx.Cmd) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	e.mu.Lock()
	line := c.String()
	e.calls = append(e.calls, line)
	for prefix, err := range e.failOn {
		if strings.HasPrefix(line, prefix) {
			e.mu.Unlock()
			return err
		}
	}
	onBuild := e.onBuild
	e.mu.Unlock()
	if strings.HasPrefix(line, "docker build --") && onBuild != nil {
		onBuild()
	}
	// Streams have another end that may need the engine too: no lock for them.
	last := c.Args[len(c.Args)-1]
	switch {
	case strings.HasPrefix(line, "docker save"):
		return e.save(last, c.Stdout)
	case strings.HasPrefix(line, "docker import"):
		if _, err := io.Copy(io.Discard, c.Stdin); err != nil {
			return err
		}
		_, err := io.WriteString(c.Stdout, "sha256:1\n")
		return err
	}
	e.mu.Lock()
	out, err := e.answer(line, c)
	e.mu.Unlock()
	if err == nil && c.Stdout != nil && out != "" {
		_, err = io.WriteString(c.Stdout, out)
	}
	return err
}

func (e *fakeEngine) answer(line string, c execx.Cmd) (string, error) {
	last := c.Args[len(c.Args)-1]
	for prefix, out := range e.says {
		if strings.HasPrefix(line, prefix) {
			return out, nil
		}
	}
	switch {
	case strings.HasPrefix(line, "docker version"):
		return "linux/amd64", nil
	case strings.HasPrefix(line, "docker inspect --type=image"):
		if _, ok := e.images[last]; !ok {
			return "", notFound("image")
		}
		return `[{"Id":"sha256:1","Size":5000}]`, nil
	case strings.HasPrefix(line, "docker inspect --type=container"):
		if e.runs == "" {
			return "", notFound("container")
		}
		return e.container()
	case strings.HasPrefix(line, "docker run --detach"):
		e.runs, e.nets = last, map[string]bool{"bridge": true}
		return "id", e.start(c.Args[indexOf(c.Args, "--publish")+1])
	case strings.HasPrefix(line, "docker rm --force labctl-cache"):
		e.stop()
		e.runs = ""
		return "", nil
	case strings.HasPrefix(line, "docker start labctl-cache"):
		return "", e.start("127.0.0.1:" + e.port + ":5000")
	case strings.HasPrefix(line, "docker network connect"):
		e.nets[c.Args[len(c.Args)-2]] = true
		return "", nil
	case strings.HasPrefix(line, "docker volume rm"):
		e.blobs = e.t.TempDir()
		e.volume = newRegistry(e.blobs)
		return "", nil
	case strings.HasPrefix(line, "docker volume inspect"):
		return `[{"Labels":{"dev.labctl.owner":"labctl"}}]`, nil
	case strings.HasPrefix(line, "docker build --"):
		return "", e.make(c.Args[indexOf(c.Args, "--tag")+1])
	case strings.HasPrefix(line, "docker tag"), strings.HasPrefix(line, "docker pull"):
		return "", e.make(last)
	case strings.HasPrefix(line, "docker rmi"):
		delete(e.images, last)
		return "", nil
	case strings.HasPrefix(line, "docker image ls"):
		var b strings.Builder
		for ref := range e.images {
			b.WriteString(ref + "\n")
		}
		return b.String(), nil
	case strings.HasPrefix(line, "docker buildx"):
		return "", errors.New("unknown command")
	}
	return "", nil // the rest succeeds and says nothing
}

func indexOf(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return -1
}

func (e *fakeEngine) container() (string, error) {
	status := "running"
	if e.server == nil {
		status = "exited"
	}
	nets := map[string]any{}
	for n := range e.nets {
		nets[n] = map[string]any{}
	}
	raw, err := json.Marshal([]any{map[string]any{
		"Path": "/registry", "Args": []string{"serve", "/config.yml"}, "State": map[string]string{"Status": status},
		"NetworkSettings": map[string]any{"Networks": nets},
		"Config":          map[string]any{"Image": e.runs, "Labels": map[string]string{docker.OwnerLabel: docker.OwnerValue}},
		"HostConfig":      map[string]any{"PortBindings": map[string]any{"5000/tcp": []any{map[string]string{"HostIp": "127.0.0.1", "HostPort": e.port}}}},
		"Mounts":          []any{map[string]string{"Name": "labctl-cache", "Destination": "/var/lib/registry"}},
	}})
	return string(raw), err
}

func (e *fakeEngine) make(ref string) error {
	img, err := random.Image(1000, 2)
	e.images[ref] = img
	return err
}

func (e *fakeEngine) save(ref string, w io.Writer) error {
	e.mu.Lock()
	img, ok := e.images[ref]
	e.mu.Unlock()
	if !ok {
		return notFound("image")
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	return tarball.Write(tag, img, w)
}

// count tells how many commands began with prefix, and forgets all.
func (e *fakeEngine) count(prefix string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, c := range e.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func (e *fakeEngine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = nil
}

// BuildNode makes the fake the builder of node images too.
func (e *fakeEngine) BuildNode(_ context.Context, r image.NodeRequest) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, "node "+r.Platform)
	return e.make(r.Ref)
}

func (e *fakeEngine) store(change func(*image.Options)) *image.Store {
	e.t.Helper()
	dir := e.t.TempDir()
	o := image.Options{
		Docker: docker.New(e), Runner: e, Definitions: definitions(), Node: e,
		WorkDir: filepath.Join(dir, "work"), LogDir: filepath.Join(dir, "logs"),
		Reachable: func(context.Context, string) bool { return false },
	}
	if change != nil {
		change(&o)
	}
	s, err := image.New(o)
	if err != nil {
		e.t.Fatal(err)
	}
	return s
}

// recorder keeps events.
type recorder struct {
	onNote func()

	mu     sync.Mutex
	events []ui.Event
}

func (r *recorder) Emit(e ui.Event) {
	if e.Kind == ui.Note && r.onNote != nil {
		r.onNote()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// final gives the last state of each row.
func (r *recorder) final() map[string]ui.RowState {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := map[string]ui.RowState{}
	for _, e := range r.events {
		if e.Kind == ui.Row {
			rows[e.Item] = e.State
		}
	}
	return rows
}

func (r *recorder) warnings() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		if e.Kind == ui.Warn {
			out = append(out, e.Text)
		}
	}
	return out
}

// someBlob gives the largest file below dir.
func someBlob(t *testing.T, dir string) string {
	t.Helper()
	var best string
	var size int64
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > size {
			best, size = p, info.Size()
		}
		return err
	})
	if err != nil || best == "" {
		t.Fatalf("no blob in %s: %v", dir, err)
	}
	return best
}
