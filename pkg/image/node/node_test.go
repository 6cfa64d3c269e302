package node

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/image/build"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

const testRecipe = `kubernetes: v1.2.3
kind: {module: example.org/kind, version: v0.1.0, sum: "h1:sum"}
debian: {suite: stable, packages: [systemd, jq]}
components:
  - {name: kube, programs: {kubernetes: .}}
  - {name: tools, programs: {ctr: example.org/ctr, shim: example.org/shim}, tags: [a, b]}
install: {ctr: /usr/bin/ctr}
images:
  - {names: ["api:1", "sched:1"], program: kubernetes, links: [api, sched]}
  - {names: ["proxy:1"], program: kubernetes, links: [api, sched], rootfs: build/proxy.sh}
labels: {b: "2", a: "1"}
`

// machine is a builder whose commands are answered by rules, and what it was
// asked.
type machine struct {
	*Builder
	fake    *execx.Fake
	request image.NodeRequest
	texts   []string
}

// newMachine answers every command of a good build; rules given here go first.
func newMachine(t *testing.T, rules ...execx.Rule) *machine {
	t.Helper()
	dir := t.TempDir()
	base := filepath.Join(dir, "kind", "images", "base", "files", "usr", "local", "bin")
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "entrypoint"), []byte("#!/bin/bash\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	drain := func(_ context.Context, c execx.Cmd) error {
		_, err := io.Copy(io.Discard, c.Stdin)
		return err
	}
	writeOutput := func(_ context.Context, c execx.Cmd) error {
		out := c.Args[len(c.Args)-1]
		if i := slices.Index(c.Args, "-o"); i >= 0 {
			out = c.Args[i+1]
		}
		return os.WriteFile(out, []byte(c.Name+" "+filepath.Base(out)), 0o755)
	}
	rules = append(rules,
		execx.Rule{Prefix: "pkg-config --exists libseccomp"},
		execx.Rule{Prefix: "docker ps --all"},
		execx.Rule{Prefix: "docker rm"},
		execx.Rule{Prefix: "docker image ls", Stdout: "labctl.local/build-node:flat\n"},
		execx.Rule{Prefix: "docker rmi"},
		execx.Rule{Prefix: "go env GOVERSION", Stdout: "go1.26.8\n"},
		execx.Rule{Prefix: "go mod download", Stdout: `{"Dir": "` + filepath.Join(dir, "kind") + `", "Sum": "h1:sum"}`},
		execx.Rule{Prefix: "go build", Do: writeOutput},
		execx.Rule{Prefix: "mmdebstrap", Do: writeOutput},
		execx.Rule{Prefix: "docker import", Do: drain},
		execx.Rule{Prefix: "docker run --detach", Stdout: "c0ffee\n"},
		execx.Rule{Prefix: "docker run --rm", Stdout: "a tar of libraries"},
		execx.Rule{Prefix: "docker exec c0ffee", Stdout: "systemd=1\n"},
		execx.Rule{Prefix: "docker exec --interactive", Do: drain},
		execx.Rule{Prefix: "docker export", Stdout: "a tar of everything"},
		execx.Rule{Prefix: "docker create"},
		execx.Rule{Prefix: "docker commit"},
	)
	m := &machine{fake: execx.NewFake(rules...)}
	m.Builder = New(Options{
		Docker: docker.New(m.fake), Runner: m.fake,
		LookPath: func(string) (string, error) { return "/bin/true", nil },
	})
	m.request = image.NodeRequest{
		Ref: "labctl.local/node:abc", Platform: "linux/amd64",
		Log: filepath.Join(dir, "logs", "image-node.log"), WorkDir: filepath.Join(dir, "work"),
		Progress: func(p build.Progress) { m.texts = append(m.texts, p.Text) },
		Files: []spec.File{
			{Path: recipeFile, Content: []byte(testRecipe)},
			{Path: "components/kube/go.mod.txt", Content: []byte("module kube\n")},
			{Path: "components/kube/main.go.txt", Content: []byte("package main\n")},
			{Path: "components/tools/go.mod.txt", Content: []byte("module tools\n")},
			{Path: "build/proxy.sh", Content: []byte("#!/bin/sh\n")},
			{Path: "files/etc/x.conf", Content: []byte("x\n")},
		},
	}
	return m
}

// calls gives the commands so far, with what differs from run to run replaced.
func (m *machine) calls() []string {
	var out []string
	for _, c := range m.fake.Calls() {
		c = strings.ReplaceAll(c, m.request.WorkDir, "WORK")
		c = hexKey.ReplaceAllString(c, "KEY")
		if strings.HasPrefix(c, "mmdebstrap") {
			c = "mmdebstrap ... " + c[strings.LastIndex(c, "WORK"):]
		}
		out = append(out, c)
	}
	return out
}

func TestBuildNode(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if err := m.BuildNode(t.Context(), m.request); err != nil {
		t.Fatal(err)
	}
	const labels = "--label dev.labctl.owner=labctl --label dev.labctl.build=node --network none"
	const goBuild = "go build -v -mod=readonly -trimpath -buildvcs=false -ldflags -s -w"
	want := []string{
		"pkg-config --exists libseccomp",
		"docker ps --all --quiet --filter label=dev.labctl.build=node",
		"docker rm --force --volumes labctl-build-node",
		"docker image ls --filter reference=labctl.local/build-node* --format {{.Repository}}:{{.Tag}}",
		"docker rmi labctl.local/build-node:flat",
		"go mod download -json example.org/kind@v0.1.0",
		"mmdebstrap ... WORK/rootfs-KEY.part.tar",
		"docker import - labctl.local/build-node-rootfs:KEY",
		"go env GOVERSION",
		goBuild + " -o WORK/bin/kube-KEY.part/kubernetes .",
		"go env GOVERSION",
		goBuild + " -tags a,b -o WORK/bin/tools-KEY.part/ctr example.org/ctr",
		goBuild + " -tags a,b -o WORK/bin/tools-KEY.part/shim example.org/shim",
		"docker run --detach --privileged " + labels + " --mount type=volume,destination=/mnt/containerd --entrypoint sleep labctl.local/build-node-rootfs:KEY infinity",
		"docker exec --interactive c0ffee tar -x -C /",
		"docker exec c0ffee /labctl-build/provision.sh v1.2.3",
		"docker exec c0ffee cat /usr/share/labctl/packages.txt",
		"docker run --rm --interactive " + labels + " labctl.local/build-node-rootfs:KEY sh -s",
		"docker exec --interactive c0ffee /labctl-build/import.sh",
	}
	got := m.calls()
	if d := cmp.Diff(want, got[:min(len(want), len(got))]); d != "" {
		t.Fatalf("commands (-want +got):\n%s", d)
	}
	// The two ends of the pipe start in any order.
	rest := got[len(want):]
	slices.Sort(rest[:2])
	want = []string{
		"docker export c0ffee",
		"docker import --change ENV container=docker PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin " +
			`--change ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"] --change LABEL a=1 --change LABEL b=2 - labctl.local/build-node:flat`,
		"docker create --name labctl-build-node --network none --stop-signal SIGRTMIN+3 labctl.local/build-node:flat",
		"docker commit labctl-build-node labctl.local/node:abc",
		"docker ps --all --quiet --filter label=dev.labctl.build=node",
		"docker rm --force --volumes labctl-build-node",
		"docker image ls --filter reference=labctl.local/build-node* --format {{.Repository}}:{{.Tag}}",
		"docker rmi labctl.local/build-node:flat",
	}
	if d := cmp.Diff(want, rest); d != "" {
		t.Errorf("last commands (-want +got):\n%s", d)
	}
	packages, err := os.ReadFile(strings.TrimSuffix(m.request.Log, ".log") + ".packages")
	if err != nil || string(packages) != "systemd=1\n" {
		t.Errorf("list of packages: %q, %v", packages, err)
	}
	if left, _ := filepath.Glob(filepath.Join(m.request.WorkDir, "rootfs-*")); len(left) > 0 {
		t.Errorf("the root file system is still there: %v", left)
	}
	if first, last := m.texts[0], m.texts[len(m.texts)-1]; first != "look for the tools" || last != "make the image" {
		t.Errorf("progress from %q to %q", first, last)
	}
}

// TestResume: what was compiled before a failure is not compiled again, unless
// its source changed.
func TestResume(t *testing.T) {
	t.Parallel()
	broken := true
	m := newMachine(t, execx.Rule{Prefix: "go build", Do: func(_ context.Context, c execx.Cmd) error {
		out := c.Args[slices.Index(c.Args, "-o")+1]
		if broken && filepath.Base(out) == "shim" {
			return &execx.ExitError{Command: "go build", Code: 1}
		}
		return os.WriteFile(out, nil, 0o755)
	}})
	if err := m.BuildNode(t.Context(), m.request); err == nil {
		t.Fatal("no error")
	}
	broken = false
	compiled := func() []string {
		before := len(m.fake.Calls())
		if err := m.BuildNode(t.Context(), m.request); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range m.fake.Calls()[before:] {
			if strings.HasPrefix(c, "go build") || strings.HasPrefix(c, "mmdebstrap") {
				f := strings.Fields(c)
				out = append(out, f[0]+" "+f[len(f)-1])
			}
		}
		return out
	}
	if d := cmp.Diff([]string{"go example.org/ctr", "go example.org/shim"}, compiled()); d != "" {
		t.Errorf("after the failure (-want +got):\n%s", d)
	}
	m.request.Files[2].Content = []byte("package main // changed\n")
	got := compiled()
	if len(got) != 2 || !strings.HasPrefix(got[0], "mmdebstrap") || got[1] != "go ." {
		t.Errorf("after a change of one component: %q", got)
	}
	if dirs, _ := filepath.Glob(filepath.Join(m.request.WorkDir, "bin", "*")); len(dirs) != 2 {
		t.Errorf("old versions are still there: %q", dirs)
	}
}

func TestBuildNodeFails(t *testing.T) {
	t.Parallel()
	fail := func(out string) func(context.Context, execx.Cmd) error {
		return func(_ context.Context, c execx.Cmd) error {
			_, err := io.WriteString(c.Stderr, out+"\n")
			return errors.Join(err, &execx.ExitError{Command: c.String(), Code: 1})
		}
	}
	tests := []struct {
		name string
		rule execx.Rule
		want clierr.Error
		err  string
	}{
		{
			name: "seccomp", rule: execx.Rule{Prefix: "pkg-config", Err: &execx.ExitError{Code: 1}},
			err: "there is no libseccomp", want: clierr.Error{ID: "node-tools", Code: clierr.CodeUnfit, Hint: "libseccomp-dev"},
		},
		{
			name: "wrong sum", rule: execx.Rule{Prefix: "go mod download", Stdout: `{"Sum": "h1:other"}`},
			err: "has the sum h1:other, not h1:sum", want: clierr.Error{ID: "image-build", Hint: "go clean -modcache"},
		},
		{
			name: "old go", rule: execx.Rule{Prefix: "go env", Do: fail("go: go.mod requires go >= 1.99 (running go 1.26)")},
			err: "compile kube: go ended with exit status 1", want: clierr.Error{ID: "image-build", Hint: "install a newer Go"},
		},
		{
			name: "proxy", rule: execx.Rule{Prefix: "go build", Do: fail("x509: certificate signed by unknown authority")},
			err: "go ended with exit status 1", want: clierr.Error{ID: "image-build", Hint: "SSL_CERT_FILE", Detail: "x509: certificate"},
		},
		{
			name: "keyring", rule: execx.Rule{Prefix: "mmdebstrap", Do: fail("E: no keyring")},
			err: "bootstrap Debian: mmdebstrap ended with", want: clierr.Error{ID: "image-build", Hint: "debian-archive-keyring"},
		},
		{
			name: "disk", rule: execx.Rule{Prefix: "docker exec --interactive c0ffee /labctl-build/import.sh", Do: fail("write: no space left on device")},
			err: "no space left on device", want: clierr.Error{ID: "image-build", Hint: "images prune"},
		},
		{
			name: "commit", rule: execx.Rule{Prefix: "docker commit", Err: &execx.ExitError{Command: "docker commit", Code: 125}},
			err: "make the image: docker ended with exit status 125", want: clierr.Error{ID: "image-build", Hint: "image-node.log"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, tt.rule)
			err := m.BuildNode(t.Context(), m.request)
			var got *clierr.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), tt.err) || got.ID != tt.want.ID || got.Code != tt.want.Code ||
				!strings.Contains(got.Hint, tt.want.Hint) || !strings.Contains(got.Detail, tt.want.Detail) {
				t.Errorf("got %+v, want %q and %+v", got, tt.err, tt.want)
			}
			calls := m.calls()
			if !slices.ContainsFunc(calls[len(calls)-4:], func(c string) bool { return c == "docker rm --force --volumes labctl-build-node" }) {
				t.Errorf("nothing was cleaned up: %q", calls)
			}
		})
	}
}

func TestMissingTools(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.lookPath = func(string) (string, error) { return "", errors.New("not there") }
	err := m.BuildNode(t.Context(), m.request)
	if err == nil || !strings.Contains(err.Error(), "there is no go, mmdebstrap, gcc, pkg-config") {
		t.Errorf("got %v", err)
	}
}

// TestInterrupted: containers are removed although the build's context is gone.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	m := newMachine(t,
		execx.Rule{Prefix: "docker exec c0ffee /labctl-build/provision.sh", Do: func(context.Context, execx.Cmd) error {
			cancel(clierr.ErrInterrupted)
			return &execx.ExitError{Code: 137}
		}},
		execx.Rule{Prefix: "docker ps --all", Stdout: "c0ffee\n"},
	)
	err := m.BuildNode(ctx, m.request)
	if !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
	calls := m.calls()
	want := []string{
		"docker ps --all --quiet --filter label=dev.labctl.build=node",
		"docker rm --force --volumes c0ffee",
		"docker rm --force --volumes labctl-build-node",
		"docker image ls --filter reference=labctl.local/build-node* --format {{.Repository}}:{{.Tag}}",
		"docker rmi labctl.local/build-node:flat",
	}
	if d := cmp.Diff(want, calls[max(0, len(calls)-len(want)):]); d != "" {
		t.Errorf("last commands (-want +got):\n%s", d)
	}
}
