// Package node builds the kind node image where the public one can't be pulled:
// Kubernetes, containerd and the rest from Go modules on a Debian root file
// system, with the images of the control plane inside. What goes in is written
// in images/node. It is not for the public image, nor for running nodes.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/image/build"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

// containerLabel marks the containers of a build, so that those of a build that
// was killed are found. No image may carry it: nodes would inherit it.
const containerLabel = build.ContainerLabel + "=node"

// cleanupTime is how long the removal of a container may take, also after the
// build was interrupted.
const cleanupTime = 30 * time.Second

// Options is what a Builder needs.
type Options struct {
	Docker *docker.CLI
	Runner execx.Runner
	// LookPath finds programs; nil is exec.LookPath.
	LookPath func(file string) (string, error)
}

// Builder builds node images, one at a time.
type Builder struct {
	docker   *docker.CLI
	run      execx.Runner
	lookPath func(file string) (string, error)
}

var _ image.NodeBuilder = (*Builder)(nil)

// New makes a Builder.
func New(o Options) *Builder {
	b := &Builder{docker: o.Docker, run: o.Runner, lookPath: o.LookPath}
	if b.lookPath == nil {
		b.lookPath = exec.LookPath
	}
	return b
}

// job is one build and what its steps hand on to each other.
type job struct {
	*Builder
	recipe  recipe
	files   map[string]spec.File
	ref     string
	arch    string
	workDir string
	log     *log

	kindFiles string            // directory of kind's base files
	rootfs    string            // image with the Debian root file system
	programs  map[string]string // name -> path of the compiled program
	container string            // where the node is put together
}

// step is a part of the build that a person can follow.
type step struct {
	title string
	run   func(context.Context) error
}

// BuildNode makes the image r.Ref. A build that was cut off goes on after the
// last component that was compiled.
func (b *Builder) BuildNode(ctx context.Context, r image.NodeRequest) (err error) {
	j, err := b.newJob(r)
	if err != nil {
		return fmt.Errorf("prepare to build the node image: %w", err)
	}
	defer func() { err = errors.Join(err, j.log.Close()) }()
	steps := j.steps()
	for i, s := range steps {
		j.log.begin(s.title, i, len(steps))
		if err := s.run(ctx); err != nil {
			j.cleanup(ctx)
			return j.explain(ctx, s, err)
		}
	}
	j.cleanup(ctx)
	return nil
}

func (b *Builder) newJob(r image.NodeRequest) (*job, error) {
	files := map[string]spec.File{}
	for _, f := range r.Files {
		files[f.Path] = f
	}
	rec, err := parseRecipe(files)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(r.WorkDir, 0o700), os.MkdirAll(filepath.Dir(r.Log), 0o700)); err != nil {
		return nil, err
	}
	l, err := openLog(r.Log, r.Progress)
	if err != nil {
		return nil, err
	}
	_, arch, _ := strings.Cut(r.Platform, "/")
	return &job{
		Builder: b, recipe: rec, files: files, ref: r.Ref, arch: arch, workDir: r.WorkDir, log: l,
		programs: map[string]string{},
	}, nil
}

// steps gives the whole build in order. What can fail for want of something on
// the machine comes first, what takes minutes after it.
func (j *job) steps() []step {
	steps := []step{
		{"look for the tools", j.checkTools},
		{"remove what an earlier build left", j.removeLeftovers},
		{"fetch kind's base files", j.fetchKind},
		{"bootstrap Debian", j.bootstrap},
	}
	for _, c := range j.recipe.Components {
		steps = append(steps, step{"compile " + c.Name, func(ctx context.Context) error { return j.compile(ctx, c) }})
	}
	return append(steps,
		step{"put the node together", j.assemble},
		step{"import the control plane", j.importImages},
		step{"make the image", j.flatten},
	)
}

// checkTools reports everything that is missing at once.
func (j *job) checkTools(ctx context.Context) error {
	var missing, install []string
	for _, t := range [][2]string{
		{"go", "a Go toolchain from go.dev"},
		{"mmdebstrap", "mmdebstrap"},
		{"gcc", "gcc libc6-dev"},
		{"pkg-config", "pkg-config"},
	} {
		if _, err := j.lookPath(t[0]); err != nil {
			missing, install = append(missing, t[0]), append(install, t[1])
		}
	}
	if len(missing) == 0 {
		// runc needs it for seccomp, as a static library.
		c := execx.Cmd{Name: "pkg-config", Args: []string{"--exists", "libseccomp"}, Stdout: j.log, Stderr: j.log}
		if err := j.run.Run(ctx, c); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			missing, install = []string{"libseccomp"}, []string{"libseccomp-dev"}
		}
	}
	if len(missing) > 0 {
		return clierr.Unfit("node-tools", "install "+strings.Join(install, ", ")+"; `labctl doctor --fix` does it on Debian and Ubuntu",
			"no public image can be pulled, and to build the node at home there is no %s", strings.Join(missing, ", "))
	}
	return nil
}

// explain says which step failed, with its last lines and where the rest is.
func (j *job) explain(ctx context.Context, s step, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("build the node image: %w", context.Cause(ctx))
	}
	return j.log.Explain("build the node image, "+s.title, err)
}
