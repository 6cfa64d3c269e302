package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

// goBinary puts one program into dir. The locked sums make every source file
// that goes in certain, whichever way it is compiled.
func (b *Builder) goBinary(ctx context.Context, j Job, g spec.GoBinary, dir string, l *log) error {
	files := moduleFiles(j.Files, g.Module)
	out := filepath.Join(dir, g.Output)
	if _, err := os.Stat(out); err == nil {
		return nil // an earlier build was cut off after it
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if j.Way == spec.Public {
		return b.goInContainer(ctx, j, g, files, dir, l)
	}
	return b.goOnHost(ctx, j, g, files, out, l)
}

// moduleFiles gives the files of a Go module with their real names: a directory
// with a go.mod could not be embedded, so definitions add .txt.
func moduleFiles(files []spec.File, module string) []spec.File {
	prefix := path.Clean(module) + "/"
	var out []spec.File
	for _, f := range files {
		rel, ok := strings.CutPrefix(f.Path, prefix)
		if !ok {
			continue
		}
		rel = strings.TrimSuffix(rel, ".txt")
		out = append(out, spec.File{Path: rel, Content: f.Content, Exec: f.Exec})
	}
	return out
}

// goArgs is the same for both ways. The output goes before the package.
func goArgs(g spec.GoBinary, out string) []string {
	args := []string{"build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"}
	if len(g.Tags) > 0 {
		args = append(args, "-tags", strings.Join(g.Tags, ","))
	}
	return append(args, "-o", out, g.Package)
}

func goEnv(g spec.GoBinary, platform string) []string {
	cgo := "0"
	if g.CGO {
		cgo = "1"
	}
	return []string{"CGO_ENABLED=" + cgo, "GOOS=linux", "GOARCH=" + arch(platform), "GOWORK=off", "GOFLAGS="}
}

// goOnHost compiles with the Go of this machine and its caches.
func (b *Builder) goOnHost(ctx context.Context, j Job, g spec.GoBinary, files []spec.File, out string, l *log) error {
	dir := filepath.Join(b.workDir, "go", contentKey(files))
	if err := writeFiles(dir, files); err != nil {
		return err
	}
	l.begin("go build " + g.Package)
	// Written elsewhere and moved: a cut-off link must not look done, and the
	// compiler of a killed labctl may still be at work.
	tmpDir, err := os.MkdirTemp(dir, "out-")
	if err != nil {
		return err
	}
	tmp := filepath.Join(tmpDir, g.Output)
	err = b.run.Run(ctx, execx.Cmd{Name: "go", Args: goArgs(g, tmp), Dir: dir, Env: goEnv(g, j.Platform), Stdout: l, Stderr: l})
	if err != nil {
		return l.GoError(err)
	}
	if err := os.Rename(tmp, out); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// goInContainer compiles in the public Go image.
func (b *Builder) goInContainer(ctx context.Context, j Job, g spec.GoBinary, files []spec.File, dir string, l *log) error {
	key := contentKey(files)
	bctx := filepath.Join(b.workDir, "go", key+"-context")
	if err := writeFiles(filepath.Join(bctx, "src"), files); err != nil {
		return err
	}
	ca, err := b.caBundle()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(bctx, "ca-bundle.crt"), ca, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(bctx, "Dockerfile"), []byte(goRecipe(j, g)), 0o644); err != nil {
		return err
	}
	sub := j
	sub.Ref, sub.Bases = "labctl.local/build-"+j.Definition.Name+":"+key+"-"+strings.ToLower(g.Output), nil
	if err := b.dockerBuild(ctx, bctx, sub, l); err != nil {
		return err
	}
	if err := b.copyOut(ctx, sub.Ref, "/"+g.Output, filepath.Join(dir, g.Output)); err != nil {
		return err
	}
	return os.RemoveAll(bctx)
}

// goRecipe is the Dockerfile of goInContainer: modules first, so that a changed
// source file of ours downloads nothing again.
func goRecipe(j Job, g spec.GoBinary) string {
	var w strings.Builder
	fmt.Fprintf(&w, "FROM %s AS build\n", spec.GolangImage)
	fmt.Fprintf(&w, "ENV %s GOTOOLCHAIN=local\n", strings.Join(goEnv(g, j.Platform), " "))
	fmt.Fprint(&w, "COPY ca-bundle.crt /ca-bundle.crt\n")
	fmt.Fprint(&w, "RUN if [ -s /ca-bundle.crt ]; then cat /ca-bundle.crt >> /etc/ssl/certs/ca-certificates.crt; fi\n")
	fmt.Fprint(&w, "WORKDIR /src\nCOPY src/go.mod src/go.sum ./\nRUN go mod download\nCOPY src ./\n")
	args := goArgs(g, "/out/"+g.Output)
	for i, a := range args {
		args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	fmt.Fprintf(&w, "RUN go %s\n", strings.Join(args, " "))
	fmt.Fprintf(&w, "FROM scratch\nCOPY --from=build /out/%[1]s /%[1]s\n", g.Output)
	return w.String()
}

// copyOut takes one file out of an image.
func (b *Builder) copyOut(ctx context.Context, ref, from, to string) (err error) {
	// The image has no program to run; create wants a command all the same.
	id, err := b.docker.Run(ctx, "create", "--label", docker.OwnerLabel+"="+docker.OwnerValue, "--label", ContainerLabel, ref, "none")
	if err != nil {
		return err
	}
	defer func() {
		_, rmErr := b.docker.Run(context.WithoutCancel(ctx), "rm", "--force", id)
		err = errors.Join(err, rmErr)
	}()
	if _, err := b.docker.Run(ctx, "cp", id+":"+from, to+".part"); err != nil {
		return err
	}
	return os.Rename(to+".part", to)
}

// contentKey names a directory after what lies in it.
func contentKey(files []spec.File) string {
	h := sha256.New()
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b spec.File) int { return strings.Compare(a.Path, b.Path) }) {
		fmt.Fprintf(h, "%q %d\n", f.Path, len(f.Content))
		h.Write(f.Content)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}
