package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

// rootfs makes the Debian root file system and notes which packages it got:
// Debian can't be locked by hash without a snapshot mirror.
func (b *Builder) rootfs(ctx context.Context, j Job, l *log) error {
	var err error
	switch {
	case j.Way == spec.Home:
		err = b.bootstrap(ctx, j, l)
	case len(j.Definition.Packages) == 0:
		err = b.publicImage(ctx, j, l)
	default:
		err = b.publicRootfs(ctx, j, l)
	}
	if err != nil {
		return err
	}
	l.begin("list packages")
	list, err := b.docker.Run(ctx, "run", "--rm", "--label", docker.OwnerLabel+"="+docker.OwnerValue, "--label", ContainerLabel, "--network=none", j.Ref,
		"dpkg-query", "--show", "--showformat=${Package}=${Version}\n")
	if err != nil {
		return err
	}
	return os.WriteFile(b.PackagesPath(j.Definition.Name), []byte(list+"\n"), 0o600)
}

// bootstrap builds it from Debian packages with mmdebstrap.
func (b *Builder) bootstrap(ctx context.Context, j Job, l *log) error {
	args := []string{
		"--variant=minbase", "--architectures=" + arch(j.Platform),
		`--aptopt=APT::Install-Recommends "false"`, `--aptopt=Acquire::Languages "none"`,
		// Without it apt solves a dependency with usrmerge, which needs all of Perl.
		"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
	}
	if len(j.Definition.Packages) > 0 {
		args = append(args, "--include="+strings.Join(j.Definition.Packages, ","))
	}
	for _, p := range []string{"/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"} {
		args = append(args, "--dpkgopt=path-exclude="+p)
	}
	args = append(args,
		"--dpkgopt=path-include=/usr/share/doc/*/copyright", // licences must stay with the software
		"--customize-hook=rm -rf \"$1\"/var/log/* \"$1\"/var/cache/* \"$1\"/var/lib/apt/lists/* \"$1\"/etc/hostname \"$1\"/etc/resolv.conf",
		Suite, "-")
	l.begin("mmdebstrap")
	// The image gets its name last: when labctl is killed, the engine sees the
	// same end of the stream as after a whole tar and imports what it has.
	var id bytes.Buffer
	pr, pw := io.Pipe()
	imported := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		err := b.docker.Stream(ctx, pr, &id, l, nil, "import",
			"--change", "LABEL "+docker.OwnerLabel+"="+docker.OwnerValue,
			"--change", `CMD ["bash"]`, "-")
		if err != nil {
			cancel(err)
		}
		imported <- errors.Join(err, pr.CloseWithError(err))
	}()
	err := b.run.Run(ctx, execx.Cmd{Name: "mmdebstrap", Args: args, Stdout: pw, Stderr: l})
	if err != nil {
		cancel(err) // half a tar must not become an image
	}
	_ = pw.CloseWithError(err)
	if err := errors.Join(toolError(err, "mmdebstrap"), <-imported); err != nil {
		return err
	}
	_, err = b.docker.Run(ctx, "tag", strings.TrimSpace(id.String()), j.Ref)
	return err
}

// publicImage uses a public image as it is, under our name.
func (b *Builder) publicImage(ctx context.Context, j Job, l *log) error {
	l.begin("docker pull")
	if err := b.docker.Stream(ctx, nil, l, l, nil, "pull", "--platform", j.Platform, j.Definition.Public); err != nil {
		return clierr.Wrap(err, "pull "+j.Definition.Public, "images can also be built without public ones where Debian packages and Go modules are reachable")
	}
	_, err := b.docker.Run(ctx, "tag", j.Definition.Public, j.Ref)
	return err
}

// publicRootfs adds the definition's packages to the public image.
func (b *Builder) publicRootfs(ctx context.Context, j Job, l *log) error {
	dir := filepath.Join(b.workDir, "context", j.Definition.Name, "rootfs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	recipe := fmt.Sprintf("FROM %s\nRUN apt-get update && apt-get install --yes --no-install-recommends %s && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*\n",
		j.Definition.Public, strings.Join(j.Definition.Packages, " "))
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(recipe), 0o644); err != nil {
		return err
	}
	if err := b.dockerBuild(ctx, dir, j, l); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// toolError says what to install when a program is not there.
func toolError(err error, tool string) error {
	if errors.Is(err, exec.ErrNotFound) {
		return clierr.New("install it, or run `labctl doctor --fix`", "%s is not installed: %w", tool, err)
	}
	return err
}

// arch gives Debian's and Go's name of an architecture; for the two that are
// supported they are the same.
func arch(platform string) string {
	_, a, _ := strings.Cut(platform, "/")
	return a
}
