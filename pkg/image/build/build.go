// Package build makes container images from definitions: it lays out build
// contexts, compiles Go programs, bootstraps the Debian root file system and
// runs docker build, all with a full log per image. It is not for deciding what
// to build, nor for the kind node image (pkg/image/node).
package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

// Suite is the Debian release of the home-built root file system.
const Suite = "bookworm"

const (
	// ContainerLabel marks containers that live only during a build.
	ContainerLabel = "dev.labctl.build"
	// UnlabeledContainer is the name of the one that can't have the label, since
	// an image is made of it.
	UnlabeledContainer = "labctl-build-node"
)

// Options is what a Builder needs. All fields but Environ are required.
type Options struct {
	Docker  *docker.CLI
	Runner  execx.Runner
	WorkDir string // build contexts; what is in it can be deleted at any time
	LogDir  string // one log per image
	Environ []string
}

// Builder builds images. It is safe for concurrent use with different images.
type Builder struct {
	docker  *docker.CLI
	run     execx.Runner
	workDir string
	logDir  string
	environ []string
}

// New makes a Builder.
func New(o Options) *Builder {
	return &Builder{docker: o.Docker, run: o.Runner, workDir: o.WorkDir, logDir: o.LogDir, environ: o.Environ}
}

// Job is one image to build.
type Job struct {
	Definition spec.Definition
	Files      []spec.File
	Way        spec.Way          // Public or Home
	Platform   string            // linux/amd64
	Ref        string            // name of the result in the engine
	Bases      map[string]string // build argument -> image in the engine
	Fresh      bool              // use nothing that the engine has cached
	Progress   func(Progress)    // may be nil
}

// Progress is how far a build is. Total 0 means unknown.
type Progress struct {
	Text        string
	Done, Total int64
}

// LogPath gives where the log of an image is.
func (b *Builder) LogPath(name string) string { return filepath.Join(b.logDir, "image-"+name+".log") }

// PackagesPath gives where the Debian packages of a root file system are listed.
func (b *Builder) PackagesPath(name string) string {
	return filepath.Join(b.logDir, "image-"+name+".packages")
}

// Build makes the image. A build that was cut off goes on where the caches of
// docker and Go stand.
func (b *Builder) Build(ctx context.Context, j Job) (err error) {
	if err := errors.Join(os.MkdirAll(b.logDir, 0o700), os.MkdirAll(b.workDir, 0o700)); err != nil {
		return fmt.Errorf("prepare to build image %s: %w", j.Definition.Name, err)
	}
	l, err := openLog(b.LogPath(j.Definition.Name), j.Progress)
	if err != nil {
		return fmt.Errorf("prepare to build image %s: %w", j.Definition.Name, err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	switch j.Definition.Build {
	case spec.Rootfs:
		err = b.rootfs(ctx, j, l)
	case spec.Dockerfile:
		err = b.dockerfile(ctx, j, l)
	case spec.Node:
		err = b.publicImage(ctx, j, l)
	default:
		err = fmt.Errorf("unknown kind of build %q", j.Definition.Build)
	}
	if err != nil {
		return b.explain(ctx, j, l, err)
	}
	return nil
}

// explain says which step failed, with the last lines and where the rest is.
func (b *Builder) explain(ctx context.Context, j Job, l *log, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("build image %s: %w", j.Definition.Name, context.Cause(ctx))
	}
	op := "build image " + j.Definition.Name
	if step := l.step(); step != "" {
		op += ", step " + step
	}
	return l.Explain(op, err)
}

// dockerfile builds a directory with a Dockerfile.
func (b *Builder) dockerfile(ctx context.Context, j Job, l *log) error {
	if j.Fresh {
		if err := b.removeStale(j.Definition.Name, ""); err != nil {
			return err
		}
	}
	dir, err := b.context(j)
	if err != nil {
		return err
	}
	for _, g := range j.Definition.Go {
		if err := b.goBinary(ctx, j, g, filepath.Join(dir, "bin"), l); err != nil {
			return err
		}
	}
	if err := b.dockerBuild(ctx, dir, j, l); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// context lays out the build context. Its path has the content tag in it, so a
// cut-off build finds its compiled programs again.
func (b *Builder) context(j Job) (string, error) {
	_, tag, _ := strings.Cut(j.Ref, ":")
	if err := b.removeStale(j.Definition.Name, tag); err != nil {
		return "", err
	}
	dir := filepath.Join(b.workDir, "context", j.Definition.Name, tag)
	files := slices.Clone(j.Files)
	for i, f := range files {
		if f.Path == "Dockerfile" {
			files[i].Content = withLabel(f.Content)
		}
	}
	if err := writeFiles(dir, files); err != nil {
		return "", err
	}
	ca, err := b.caBundle()
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "ca-bundle.crt"), ca, 0o644)
}

// withLabel adds our label to every stage of a Dockerfile. What a cut-off build
// leaves in the engine, and the stages that nothing names any more, can then be
// told from images of others; `docker build --label` marks only the end result.
func withLabel(dockerfile []byte) []byte {
	var out []string
	from := false
	for line := range strings.Lines(string(dockerfile)) {
		line = strings.TrimRight(line, "\n")
		out = append(out, line)
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		from = from || strings.EqualFold(word, "FROM")
		if from && !strings.HasSuffix(line, "\\") {
			out = append(out, "LABEL "+docker.OwnerLabel+"="+docker.OwnerValue)
			from = false
		}
	}
	return []byte(strings.Join(out, "\n") + "\n")
}

// removeStale removes the contexts of other versions of an image.
func (b *Builder) removeStale(name, keep string) error {
	parent := filepath.Join(b.workDir, "context", name)
	entries, err := os.ReadDir(parent)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() != keep {
			if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeFiles(dir string, files []spec.File) error {
	for _, f := range files {
		p := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if f.Exec {
			mode = 0o755
		}
		if err := os.WriteFile(p, f.Content, mode); err != nil {
			return err
		}
		// The umask must not end up in the image.
		if err := os.Chmod(p, mode); err != nil {
			return err
		}
	}
	return nil
}

// dockerBuild runs docker build on a laid out context.
func (b *Builder) dockerBuild(ctx context.Context, dir string, j Job, l *log) error {
	kit := b.buildKit(ctx)
	args := []string{"build", "--force-rm", "--tag", j.Ref, "--label", docker.OwnerLabel + "=" + docker.OwnerValue}
	env := []string{"DOCKER_BUILDKIT=0"}
	if j.Fresh {
		args = append(args, "--no-cache")
	}
	if kit {
		env = []string{"DOCKER_BUILDKIT=1", "BUILDX_BUILDER=", "BUILDX_NO_DEFAULT_ATTESTATIONS=1"}
		args = append(args, "--progress=plain")
	}
	if j.Way == spec.Home || !kit {
		args = append(args, "--network=host")
	}
	for _, arg := range slices.Sorted(maps.Keys(j.Bases)) {
		args = append(args, "--build-arg", arg+"="+j.Bases[arg])
	}
	// Without a value docker takes it from the environment, which keeps a
	// proxy's password out of the process list. These names are predefined, so
	// they never stay in the image.
	for _, key := range proxyKeys(b.environ) {
		args = append(args, "--build-arg", key)
	}
	l.begin("docker build")
	return b.docker.Stream(ctx, nil, l, l, env, append(args, dir)...)
}

// buildKit says whether to build with BuildKit: the client needs buildx, and
// before API 1.42 (Docker 23) the engine's own BuildKit is not its default and
// ignores the default runtime, so the classic builder is the safe choice there.
func (b *Builder) buildKit(ctx context.Context) bool {
	if _, err := b.docker.Run(ctx, "buildx", "version"); err != nil {
		return false
	}
	v, err := b.docker.Run(ctx, "version", "--format", "{{.Server.APIVersion}}")
	if err != nil {
		return false
	}
	var major, minor int
	if _, err := fmt.Sscanf(v, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 1 || minor >= 42
}

func proxyKeys(environ []string) []string {
	var keys []string
	for _, kv := range environ {
		key, val, _ := strings.Cut(kv, "=")
		switch strings.ToUpper(key) {
		case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY":
			if val != "" {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// caBundle gives the certificates that this machine trusts, for build stages
// that download something through a proxy that opens TLS. Empty when there are
// none; it is no part of the content tag.
func (b *Builder) caBundle() ([]byte, error) {
	for _, kv := range b.environ {
		if p, ok := strings.CutPrefix(kv, "SSL_CERT_FILE="); ok && p != "" {
			raw, err := os.ReadFile(filepath.Clean(p))
			if err != nil {
				return nil, clierr.New("SSL_CERT_FILE must name a readable file", "read the certificates: %w", err)
			}
			return raw, nil
		}
	}
	if runtime.GOOS == "windows" {
		return nil, nil
	}
	// Where Debian, Red Hat, SUSE and macOS keep them.
	for _, p := range []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
	} {
		if raw, err := os.ReadFile(filepath.Clean(p)); err == nil {
			return raw, nil
		}
	}
	return nil, nil
}
