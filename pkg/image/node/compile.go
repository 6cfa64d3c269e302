package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/execx"
)

// compile makes the programs of one component, or finds those of an earlier
// build: they are kept under the hash of all that makes them.
func (j *job) compile(ctx context.Context, c component) error {
	src := filepath.Join(j.workDir, "src", c.Name)
	module := c.module(j.files)
	if err := writeFresh(src, module); err != nil {
		return err
	}
	// Asked in the module's directory: go may switch to the toolchain it names.
	version, err := j.goOutput(ctx, src, "env", "GOVERSION")
	if err != nil {
		return err
	}
	key := c.key(module, version, j.arch)
	dir := filepath.Join(j.workDir, "bin", c.Name+"-"+key)
	for p := range c.Programs {
		j.programs[p] = filepath.Join(dir, p)
	}
	if _, err := os.Stat(dir); err == nil {
		j.log.Note("found in " + dir)
		return os.RemoveAll(src)
	}
	// Made beside its place and moved: what was cut off must not look done.
	tmp := dir + ".part"
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o755)); err != nil {
		return err
	}
	for _, p := range sortedKeys(c.Programs) {
		cmd := execx.Cmd{Name: "go", Args: c.buildArgs(filepath.Join(tmp, p), c.Programs[p]), Dir: src, Env: c.env(j.arch), Stdout: j.log, Stderr: j.log}
		if err := j.run.Run(ctx, cmd); err != nil {
			return j.log.GoError(err)
		}
	}
	if err := j.removeStale(c.Name, dir); err != nil {
		return err
	}
	return errors.Join(os.Rename(tmp, dir), os.RemoveAll(src))
}

// key hashes what decides how the programs come out.
func (c component) key(module []spec.File, goVersion, arch string) string {
	h := sha256.New()
	fmt.Fprintln(h, goVersion, c.env(arch))
	for _, p := range sortedKeys(c.Programs) {
		fmt.Fprintf(h, "%q\n", c.buildArgs(p, c.Programs[p]))
	}
	for _, f := range module {
		fmt.Fprintf(h, "%q %d\n", f.Path, len(f.Content))
		h.Write(f.Content)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

func (c component) buildArgs(out, pkg string) []string {
	// -v names the packages as they are compiled: a sign of life in the minutes that Kubernetes takes.
	args := []string{"build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", c.linkerFlags()}
	if len(c.Tags) > 0 {
		args = append(args, "-tags", strings.Join(c.Tags, ","))
	}
	return append(args, "-o", out, pkg)
}

func (c component) env(arch string) []string {
	cgo := "CGO_ENABLED=0"
	if c.CGO {
		cgo = "CGO_ENABLED=1"
	}
	return []string{cgo, "GOOS=linux", "GOARCH=" + arch, "GOWORK=off", "GOFLAGS="}
}

// removeStale removes other versions of a component.
func (j *job) removeStale(name, keep string) error {
	old, err := filepath.Glob(filepath.Join(j.workDir, "bin", name+"-????????????"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range old {
		if dir != keep {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}

// fetchKind finds the base files of kind's node image in its Go module.
func (j *job) fetchKind(ctx context.Context) error {
	k := j.recipe.Kind
	// A directory without go.mod: what is there must not count.
	dir := filepath.Join(j.workDir, "kind")
	if err := writeFresh(dir, nil); err != nil {
		return err
	}
	out, err := j.goOutput(ctx, dir, "mod", "download", "-json", k.Module+"@"+k.Version)
	if err != nil {
		return err
	}
	var got struct{ Dir, Sum, Error string }
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		return fmt.Errorf("read what go says of %s: %w", k.Module, err)
	}
	switch {
	case got.Error != "":
		return fmt.Errorf("download %s: %s", k.Module, got.Error)
	case got.Sum != k.Sum:
		return clierr.New("the module cache or the Go proxy has something else; try `go clean -modcache`",
			"%s %s has the sum %s, not %s", k.Module, k.Version, got.Sum, k.Sum)
	}
	j.kindFiles = filepath.Join(got.Dir, "images", "base", "files")
	if _, err := os.Stat(j.kindFiles); err != nil {
		return fmt.Errorf("look for kind's base files: %w", err)
	}
	return os.RemoveAll(dir)
}

// goOutput gives what a go command says on stdout.
func (j *job) goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	var out bytes.Buffer
	err := j.run.Run(ctx, execx.Cmd{Name: "go", Args: args, Dir: dir, Env: []string{"GOWORK=off", "GOFLAGS="}, Stdout: &out, Stderr: j.log})
	if err != nil {
		// With -json go tells what went wrong on stdout.
		j.log.Note(out.String())
		return "", j.log.GoError(err)
	}
	return strings.TrimSpace(out.String()), nil
}

// writeFresh makes a directory that has these files and no others.
func writeFresh(dir string, files []spec.File) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(f.Path)), f.Content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
