package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

var noBuildx = execx.Rule{Prefix: "docker buildx version", Err: &execx.ExitError{Command: "docker", Code: 1, Stderr: "unknown command"}}

func testBuilder(t *testing.T, rules ...execx.Rule) (*Builder, *execx.Fake) {
	t.Helper()
	f := execx.NewFake(rules...)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, []byte("CERT"), 0o600); err != nil {
		t.Fatal(err)
	}
	return New(Options{
		Docker: docker.New(f), Runner: f, WorkDir: filepath.Join(dir, "work"), LogDir: filepath.Join(dir, "logs"),
		Environ: []string{"SSL_CERT_FILE=" + ca, "HTTPS_PROXY=http://user:secret@proxy:3128", "no_proxy=localhost", "HTTP_PROXY=", "PATH=/bin"},
	}), f
}

func appJob() Job {
	return Job{
		Definition: spec.Definition{
			Name: "app", Build: spec.Dockerfile,
			Go: []spec.GoBinary{{Module: "gomod", Package: "./cmd/app", Output: "app", Tags: []string{"a", "b"}}},
		},
		Files: []spec.File{
			{Path: "Dockerfile", Content: []byte("ARG BASE\nFROM ${BASE} AS x\nRUN y\nFROM \\\n  ${BASE}\n")},
			{Path: "gomod/go.mod.txt", Content: []byte("module app\n")},
			{Path: "gomod/main.go.txt", Content: []byte("package main\n")},
			{Path: "run.sh", Content: []byte("#!/bin/sh\n"), Exec: true},
		},
		Way: spec.Home, Platform: "linux/amd64", Ref: "labctl.local/app:0123", Bases: map[string]string{"BASE": "labctl.local/debian:1"},
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	var steps []Progress
	var laidOut map[string]string
	var env []string
	b, f := testBuilder(t, noBuildx,
		execx.Rule{Prefix: "go build", Do: func(_ context.Context, c execx.Cmd) error {
			if got, err := os.ReadFile(filepath.Join(c.Dir, "main.go")); err != nil || string(got) != "package main\n" {
				return fmt.Errorf("module was not laid out: %w", err)
			}
			env = c.Env
			return os.WriteFile(c.Args[slices.Index(c.Args, "-o")+1], []byte("program"), 0o755)
		}},
		execx.Rule{Prefix: "docker build --", Do: func(_ context.Context, c execx.Cmd) error {
			laidOut = readDir(t, c.Args[len(c.Args)-1])
			_, err := io.WriteString(c.Stdout, "Step 1/2 : FROM scratch\nStep 2/2 : RUN   something quite long that does not fit on one line of a terminal at all\n")
			return err
		}})
	j := appJob()
	j.Progress = func(p Progress) { steps = append(steps, p) }
	if err := b.Build(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	label := "LABEL dev.labctl.owner=labctl\n"
	want := map[string]string{
		"Dockerfile":       "ARG BASE\nFROM ${BASE} AS x\n" + label + "RUN y\nFROM \\\n  ${BASE}\n" + label,
		"gomod/go.mod.txt": "module app\n", "gomod/main.go.txt": "package main\n", "run.sh": "#!/bin/sh\n",
		"ca-bundle.crt": "CERT", "bin/app": "program",
	}
	if diff := cmp.Diff(want, laidOut); diff != "" {
		t.Errorf("context (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOWORK=off", "GOFLAGS="}, env); diff != "" {
		t.Errorf("go environment (-want +got):\n%s", diff)
	}
	calls := f.Calls()
	wantBuild := "docker build --force-rm --tag labctl.local/app:0123 --label dev.labctl.owner=labctl --network=host" +
		" --build-arg BASE=labctl.local/debian:1 --build-arg HTTPS_PROXY --build-arg no_proxy "
	if got := calls[len(calls)-1]; !strings.HasPrefix(got, wantBuild) {
		t.Errorf("got  %s\nwant %s", got, wantBuild)
	}
	if !strings.Contains(calls[0], "go build -mod=readonly -trimpath -buildvcs=false -ldflags -s -w -tags a,b -o ") {
		t.Errorf("got %s", calls[0])
	}
	if got := steps[len(steps)-1]; got != (Progress{Text: "RUN something quite long that does not fit on one line of...", Done: 2, Total: 2}) {
		t.Errorf("last progress %+v", got)
	}
	if left := readDir(t, b.workDir); len(left) > 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}

// A build that failed keeps what was compiled; the next one goes on from there.
func TestResume(t *testing.T) {
	t.Parallel()
	compiled, built := 0, 0
	b, _ := testBuilder(t, noBuildx,
		execx.Rule{Prefix: "go build", Do: func(_ context.Context, c execx.Cmd) error {
			compiled++
			return os.WriteFile(c.Args[slices.Index(c.Args, "-o")+1], []byte("program"), 0o755)
		}},
		execx.Rule{Prefix: "docker build --", Do: func(context.Context, execx.Cmd) error {
			if built++; built == 1 {
				return errors.New("killed")
			}
			return nil
		}})
	old := filepath.Join(b.workDir, "context", "app", "older")
	if err := os.MkdirAll(old, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.Build(context.Background(), appJob()); err == nil {
		t.Fatal("no error")
	}
	if err := b.Build(context.Background(), appJob()); err != nil {
		t.Fatal(err)
	}
	if compiled != 1 || built != 2 {
		t.Errorf("compiled %d times, built %d times", compiled, built)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the context of an older version is still there: %v", err)
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	exit := func(stderr string) error { return &execx.ExitError{Command: "docker build x", Code: 1, Stderr: stderr} }
	program := func(_ context.Context, c execx.Cmd) error {
		return os.WriteFile(c.Args[slices.Index(c.Args, "-o")+1], nil, 0o755)
	}
	tests := map[string]struct {
		rules             []execx.Rule
		err, hint, detail string
	}{
		"a step of the Dockerfile": {
			rules: []execx.Rule{{Prefix: "go build", Do: program}, {Prefix: "docker build --", Do: func(_ context.Context, c execx.Cmd) error {
				fmt.Fprint(c.Stdout, "Step 1/3 : FROM x\n", strings.Repeat("noise\n", 30), "Step 2/3 : RUN make\n")
				fmt.Fprint(c.Stderr, "make: *** no rule\n")
				return exit("make: *** no rule")
			}}},
			err: "build image app, step docker build 2/3 (RUN make): docker ended with exit status 1", hint: "the whole output is in ", detail: "make: *** no rule",
		},
		"disk is full": {
			rules: []execx.Rule{{Prefix: "go build", Do: program}, {Prefix: "docker build --", Do: func(_ context.Context, c execx.Cmd) error {
				fmt.Fprint(c.Stderr, "write /x: no space left on device\n")
				return exit("")
			}}},
			err: "no space left on device", hint: "labctl images prune",
		},
		"no Go": {
			rules: []execx.Rule{{Prefix: "go build", Err: fmt.Errorf("run go: %w", exec.ErrNotFound)}},
			err:   "step go build ./cmd/app: no public image can be pulled, and Go is not installed", hint: "install Go",
		},
		"old Go": {
			rules: []execx.Rule{{Prefix: "go build", Do: func(_ context.Context, c execx.Cmd) error {
				fmt.Fprint(c.Stderr, "go: go.mod requires go >= 1.26 (running go 1.20)\n")
				return exit("")
			}}},
			err: "exit status 1", hint: "install a newer Go",
		},
		"a proxy opens TLS": {
			rules: []execx.Rule{{Prefix: "go build", Do: func(_ context.Context, c execx.Cmd) error {
				fmt.Fprint(c.Stderr, "tls: failed to verify certificate: x509: certificate signed by unknown authority\n")
				return exit("")
			}}},
			err: "exit status 1", hint: "SSL_CERT_FILE",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := testBuilder(t, append(tt.rules, noBuildx)...)
			err := b.Build(context.Background(), appJob())
			got := clierr.Describe(err)
			if !strings.Contains(got.Error, tt.err) || !strings.Contains(got.Hint, tt.hint) || !strings.Contains(got.Detail, tt.detail) {
				t.Errorf("got  %+v\nwant %q, %q, %q", got, tt.err, tt.hint, tt.detail)
			}
			if !strings.Contains(got.Hint, b.LogPath("app")) {
				t.Errorf("hint %q does not name the log", got.Hint)
			}
			if _, err := os.Stat(b.LogPath("app")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(context.Background())
	b, _ := testBuilder(t, execx.Rule{Prefix: "go build", Do: func(ctx context.Context, _ execx.Cmd) error {
		cancel(clierr.ErrInterrupted)
		return ctx.Err()
	}})
	if err := b.Build(ctx, appJob()); !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
}

func TestRootfs(t *testing.T) {
	t.Parallel()
	list := execx.Rule{Prefix: "docker run --rm", Stdout: "apt=2.6\nbash=5.2\n"}
	j := Job{
		Definition: spec.Definition{Name: "debian", Build: spec.Rootfs, Public: "docker.io/library/debian@sha256:1", Packages: []string{"ca-certificates"}},
		Way:        spec.Home, Platform: "linux/arm64", Ref: "labctl.local/debian:1",
	}
	t.Run("home", func(t *testing.T) {
		t.Parallel()
		var imported string
		b, _ := testBuilder(t, list,
			execx.Rule{Prefix: "mmdebstrap --variant=minbase --architectures=arm64 ", Stdout: "a tar"},
			execx.Rule{Prefix: "docker import", Do: func(_ context.Context, c execx.Cmd) error {
				raw, err := io.ReadAll(c.Stdin)
				imported = string(raw)
				fmt.Fprintln(c.Stdout, "sha256:1")
				return err
			}}, execx.Rule{Prefix: "docker tag sha256:1 labctl.local/debian:1"})
		if err := b.Build(context.Background(), j); err != nil {
			t.Fatal(err)
		}
		if imported != "a tar" {
			t.Errorf("imported %q", imported)
		}
		if got, err := os.ReadFile(b.PackagesPath("debian")); err != nil || string(got) != "apt=2.6\nbash=5.2\n" {
			t.Errorf("packages %q, %v", got, err)
		}
	})
	t.Run("bootstrap fails", func(t *testing.T) {
		t.Parallel()
		b, _ := testBuilder(t,
			execx.Rule{Prefix: "mmdebstrap", Err: fmt.Errorf("run mmdebstrap: %w", exec.ErrNotFound)},
			execx.Rule{Prefix: "docker import", Do: func(_ context.Context, c execx.Cmd) error {
				if _, err := io.ReadAll(c.Stdin); err == nil {
					t.Error("half a tar was imported")
				}
				return errors.New("stopped")
			}})
		err := b.Build(context.Background(), j)
		if got := clierr.Describe(err); !strings.Contains(got.Error, "mmdebstrap is not installed") || !strings.Contains(got.Hint, "doctor --fix") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("public", func(t *testing.T) {
		t.Parallel()
		var recipe string
		b, _ := testBuilder(t, list, noBuildx, execx.Rule{Prefix: "docker build --", Do: func(_ context.Context, c execx.Cmd) error {
			recipe = readDir(t, c.Args[len(c.Args)-1])["Dockerfile"]
			return nil
		}})
		j := j
		j.Way = spec.Public
		if err := b.Build(context.Background(), j); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(recipe, "FROM docker.io/library/debian@sha256:1\n") || !strings.Contains(recipe, " ca-certificates ") {
			t.Errorf("recipe %q", recipe)
		}
	})
	t.Run("public as it is", func(t *testing.T) {
		t.Parallel()
		b, f := testBuilder(t, list, execx.Rule{Prefix: "docker pull"}, execx.Rule{Prefix: "docker tag"})
		j := j
		j.Way, j.Definition.Packages = spec.Public, nil
		if err := b.Build(context.Background(), j); err != nil {
			t.Fatal(err)
		}
		want := []string{"docker pull --platform linux/arm64 docker.io/library/debian@sha256:1", "docker tag docker.io/library/debian@sha256:1 labctl.local/debian:1"}
		if diff := cmp.Diff(want, f.Calls()[:2]); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestGoInContainer(t *testing.T) {
	t.Parallel()
	var recipe map[string]string
	builds := 0
	b, f := testBuilder(t, execx.Rule{Prefix: "docker buildx version"}, execx.Rule{Prefix: "docker version", Stdout: "1.47\n"},
		execx.Rule{Prefix: "docker build --", Do: func(_ context.Context, c execx.Cmd) error {
			if builds++; builds == 1 {
				recipe = readDir(t, c.Args[len(c.Args)-1])
			}
			if !slices.Contains(c.Env, "DOCKER_BUILDKIT=1") || slices.Contains(c.Args, "--network=host") {
				t.Errorf("%v %s", c.Env, c)
			}
			return nil
		}},
		execx.Rule{Prefix: "docker create", Stdout: "c1\n"},
		execx.Rule{Prefix: "docker cp c1:/app", Do: func(_ context.Context, c execx.Cmd) error {
			return os.WriteFile(c.Args[2], []byte("program"), 0o755)
		}},
		execx.Rule{Prefix: "docker rm --force c1"})
	j := appJob()
	j.Way = spec.Public
	if err := b.Build(context.Background(), j); err != nil {
		t.Fatalf("%v\n%v", err, f.Calls())
	}
	got := recipe["Dockerfile"]
	for _, want := range []string{
		"FROM " + spec.GolangImage + " AS build\n", "COPY src/go.mod src/go.sum ./\n",
		"RUN go 'build' '-mod=readonly' '-trimpath' '-buildvcs=false' '-ldflags' '-s -w' '-tags' 'a,b' '-o' '/out/app' './cmd/app'\n",
		"COPY --from=build /out/app /app\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("recipe lacks %q:\n%s", want, got)
		}
	}
	if recipe["src/go.mod"] != "module app\n" {
		t.Errorf("context %v", recipe)
	}
	if builds != 2 {
		t.Errorf("%d builds", builds)
	}
}

func TestBuildKit(t *testing.T) {
	t.Parallel()
	buildx := execx.Rule{Prefix: "docker buildx version"}
	api := func(v string) execx.Rule { return execx.Rule{Prefix: "docker version", Stdout: v} }
	tests := map[string]struct {
		rules []execx.Rule
		want  bool
	}{
		"no buildx":  {[]execx.Rule{noBuildx}, false},
		"old engine": {[]execx.Rule{buildx, api("1.41")}, false},
		"new engine": {[]execx.Rule{buildx, api("1.42")}, true},
		"garbage":    {[]execx.Rule{buildx, api("what")}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := testBuilder(t, tt.rules...)
			if got := b.buildKit(context.Background()); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestLogProgress(t *testing.T) {
	t.Parallel()
	tests := map[string]Progress{
		"Step 3/12 : COPY  a b":                          {Text: "COPY a b", Done: 3, Total: 12},
		"#8 [build 3/5] RUN make":                        {Text: "RUN make", Done: 3, Total: 5},
		"#8 [2/5] RUN make":                              {Text: "RUN make", Done: 2, Total: 5},
		"I: running apt-get update...":                   {Text: "x: running apt-get update"},
		"go: downloading github.com/spf13/cobra v1.10.2": {Text: "x: github.com/spf13/cobra"},
		"0123456789ab: Pull complete":                    {Text: "x: Pull complete"},
		"some other line":                                {Text: "x"},
	}
	for line, want := range tests {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			var got Progress
			l, err := openLog(filepath.Join(t.TempDir(), "log"), func(p Progress) { got = p })
			if err != nil {
				t.Fatal(err)
			}
			l.begin("x")
			// Output comes in pieces that know nothing of lines.
			for _, part := range []string{line[:3], line[3:] + "\r\n"} {
				if _, err := io.WriteString(l, part); err != nil {
					t.Fatal(err)
				}
			}
			if got != want {
				t.Errorf("got %+v", got)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// readDir gives all files below dir.
func readDir(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		files[filepath.ToSlash(rel)] = string(raw)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return files
}
