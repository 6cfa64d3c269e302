package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/image/build"
	"labctl.dev/labctl/pkg/internal/docker"
)

const (
	// buildDir is where the scripts lie in the container.
	buildDir = "/labctl-build"
	// containerdRoot is a volume in the container, see build/import.sh.
	containerdRoot = "/mnt/containerd"
	// finalContainer only lends its configuration to the image. It has a name
	// instead of labels, which the image would inherit.
	finalContainer = build.UnlabeledContainer
	// buildImages begins the names of all images that only a build needs.
	buildImages = "labctl.local/build-node"
	// flatImage is the node before it has its configuration.
	flatImage = buildImages + ":flat"
	// stopSignal makes systemd shut down; SIGTERM makes it restart itself.
	stopSignal = "SIGRTMIN+3"
)

// containerArgs are those of every container of a build. Nothing in them needs
// the network.
func containerArgs() []string {
	return []string{"--label", docker.OwnerLabel + "=" + docker.OwnerValue, "--label", containerLabel, "--network", "none"}
}

// assemble starts a container on the root file system and lays everything else
// over it.
func (j *job) assemble(ctx context.Context) error {
	args := append([]string{"run", "--detach", "--privileged"}, containerArgs()...)
	args = append(args, "--mount", "type=volume,destination="+containerdRoot, "--entrypoint", "sleep", j.rootfs, "infinity")
	id, err := j.docker.Run(ctx, args...)
	if err != nil {
		return fmt.Errorf("start a container on the root file system: %w", err)
	}
	j.container = id
	err = pipe(ctx, func(_ context.Context, w io.Writer) error { return j.nodeFiles(w) },
		func(ctx context.Context, r io.Reader) error { return j.exec(ctx, r, "tar", "-x", "-C", "/") })
	if err != nil {
		return fmt.Errorf("copy the node's files: %w", err)
	}
	if err := j.exec(ctx, nil, buildDir+"/provision.sh", j.recipe.Kubernetes); err != nil {
		return fmt.Errorf("set up the node: %w", err)
	}
	packages, err := j.docker.Exec(ctx, j.container, "cat", packagesFile)
	if err != nil {
		return fmt.Errorf("read the list of packages: %w", err)
	}
	return os.WriteFile(strings.TrimSuffix(j.log.Path(), ".log")+".packages", []byte(packages+"\n"), 0o600)
}

// importImages puts the images of the control plane into the node's containerd.
func (j *job) importImages(ctx context.Context) error {
	dir := filepath.Join(j.workDir, "layers")
	if err := writeFresh(dir, nil); err != nil {
		return err
	}
	images, err := j.pack(ctx, dir)
	if err != nil {
		return err
	}
	err = pipe(ctx, func(_ context.Context, w io.Writer) error { return writeArchive(w, images) },
		func(ctx context.Context, r io.Reader) error { return j.exec(ctx, r, buildDir+"/import.sh") })
	if err != nil {
		return fmt.Errorf("import the images: %w", err)
	}
	return os.RemoveAll(dir)
}

// flatten makes one layer of the container, and an image of that.
func (j *job) flatten(ctx context.Context) error {
	changes := []string{
		"import",
		"--change", "ENV container=docker PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"--change", `ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]`,
	}
	for _, key := range sortedKeys(j.recipe.Labels) {
		changes = append(changes, "--change", "LABEL "+key+"="+j.recipe.Labels[key])
	}
	changes = append(changes, "-", flatImage)
	err := pipe(ctx,
		func(ctx context.Context, w io.Writer) error {
			return j.docker.Stream(ctx, nil, w, j.log, nil, "export", j.container)
		},
		func(ctx context.Context, r io.Reader) error {
			return j.docker.Stream(ctx, r, j.log, j.log, nil, changes...)
		})
	if err != nil {
		return fmt.Errorf("flatten the node: %w", err)
	}
	// Neither import nor commit can set the stop signal, but commit keeps that of a container.
	if _, err := j.docker.Run(ctx, "create", "--name", finalContainer, "--network", "none", "--stop-signal", stopSignal, flatImage); err != nil {
		return fmt.Errorf("set the stop signal: %w", err)
	}
	if _, err := j.docker.Run(ctx, "commit", finalContainer, j.ref); err != nil {
		return fmt.Errorf("name the image: %w", err)
	}
	return j.dropRootfs()
}

// exec runs a program in the container with its output in the log.
func (j *job) exec(ctx context.Context, in io.Reader, argv ...string) error {
	args := []string{"exec"}
	if in != nil {
		args = append(args, "--interactive")
	}
	return j.docker.Stream(ctx, in, j.log, j.log, nil, append(append(args, j.container), argv...)...)
}

// removeLeftovers removes the containers and images of a build: of this one at
// its end, and of one that was killed.
func (j *job) removeLeftovers(ctx context.Context) error {
	containers, err := j.docker.Lines(ctx, "ps", "--all", "--quiet", "--filter", "label="+containerLabel)
	if err != nil {
		return fmt.Errorf("look for containers of a build: %w", err)
	}
	for _, id := range append(containers, finalContainer) {
		if _, err := j.docker.Run(ctx, "rm", "--force", "--volumes", id); err != nil && !errors.Is(err, docker.ErrNotFound) {
			return fmt.Errorf("remove a container of a build: %w", err)
		}
	}
	images, err := j.docker.Lines(ctx, "image", "ls", "--filter", "reference="+buildImages+"*", "--format", "{{.Repository}}:{{.Tag}}")
	if err != nil {
		return fmt.Errorf("look for images of a build: %w", err)
	}
	for _, ref := range images {
		if _, err := j.docker.Run(ctx, "rmi", ref); err != nil && !errors.Is(err, docker.ErrNotFound) {
			return fmt.Errorf("remove an image of a build: %w", err)
		}
	}
	return nil
}

// cleanup removes what the build made on its way, whichever way it ended. What
// fails is only noted: the next build removes it.
func (j *job) cleanup(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if err := errors.Join(j.removeLeftovers(ctx), os.RemoveAll(filepath.Join(j.workDir, "layers"))); err != nil {
		j.log.Note("clean up: " + err.Error())
	}
}

// pipe runs two ends of a stream. When one of them fails, the other is told to
// end, and the error is that of the one that failed first.
func pipe(ctx context.Context, from func(context.Context, io.Writer) error, to func(context.Context, io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pr, pw := io.Pipe()
	read := make(chan error, 1)
	go func() {
		err := to(ctx, pr)
		if err != nil {
			cancel(err)
		}
		_ = pr.CloseWithError(cmp.Or(err, io.ErrClosedPipe))
		read <- err
	}()
	err := from(ctx, pw)
	if err != nil {
		cancel(err) // before the reader sees the end: half a stream must not pass for all of it
	}
	_ = pw.CloseWithError(err)
	readErr := <-read
	if first := context.Cause(ctx); first != nil && (err != nil || readErr != nil) {
		return first
	}
	return cmp.Or(err, readErr)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
