// Package spec reads image definitions (images/<name>/image.yaml), checks them,
// orders them by their bases and computes their content tags. It only reads an
// fs.FS: it is not for building, pulling or storing images.
package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FileName is the file that makes a directory an image definition.
const FileName = "image.yaml"

// Build says how an image comes to be.
type Build string

// The kinds of build.
const (
	Dockerfile Build = "dockerfile" // docker build of the directory
	Rootfs     Build = "rootfs"     // Debian root file system
	Node       Build = "node"       // the kind node
)

// Way says where the parts of an image come from.
type Way string

// The ways. Auto is only a wish: what was built has one of the other two.
const (
	Auto   Way = "auto"
	Public Way = "public" // public images, by digest
	Home   Way = "home"   // Go modules and Debian packages only
)

// Definition is one image.yaml.
type Definition struct {
	Name        string            `yaml:"name"`
	Description string            `yaml:"description"`
	Build       Build             `yaml:"build"`
	Public      string            `yaml:"public,omitempty"`
	Packages    []string          `yaml:"packages,omitempty"`
	Bases       map[string]string `yaml:"bases,omitempty"`
	Include     []string          `yaml:"include,omitempty"`
	Go          []GoBinary        `yaml:"go,omitempty"`
}

// GoBinary is a program that is compiled before the image is built and lies in
// bin/ of its build context.
type GoBinary struct {
	Module  string   `yaml:"module"`
	Package string   `yaml:"package"`
	Output  string   `yaml:"output"`
	Tags    []string `yaml:"tags,omitempty"`
	CGO     bool     `yaml:"cgo,omitempty"`
}

var (
	nameRE    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	packageRE = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	argRE     = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	outputRE  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	digestRE  = regexp.MustCompile(`^[a-z0-9][a-z0-9.:/_-]*@sha256:[0-9a-f]{64}$`)
)

// decode reads the definition in directory dir.
func decode(fsys fs.FS, dir string) (Definition, error) {
	file := path.Join(dir, FileName)
	raw, err := fs.ReadFile(fsys, file)
	if err != nil {
		return Definition{}, fmt.Errorf("read image definition: %w", err)
	}
	var d Definition
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(&d); err != nil {
		return Definition{}, fmt.Errorf("%s: %w", file, yamlError(err))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Definition{}, fmt.Errorf("%s: more than one YAML document", file)
	}
	if err := d.validate(fsys, dir); err != nil {
		return Definition{}, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// yamlError makes the decoder's complaint fit for people: one line, no Go types.
func yamlError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("is empty")
	}
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return err
	}
	msgs := make([]string, 0, len(te.Errors))
	for _, m := range te.Errors {
		m, _, _ = strings.Cut(m, " in type ")
		msgs = append(msgs, m)
	}
	return errors.New(strings.Join(msgs, "; "))
}

// validate checks everything that one definition can tell about itself.
func (d Definition) validate(fsys fs.FS, dir string) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if !nameRE.MatchString(d.Name) {
		bad("name", "%q is not a name (a-z, 0-9, inner dashes)", d.Name)
	} else if d.Name != dir {
		bad("name", "%q must be the name of its directory, %q", d.Name, dir)
	}
	if d.Description == "" {
		bad("description", "is missing")
	}
	switch d.Build {
	case Dockerfile:
		d.validateDockerfile(fsys, dir, bad)
	case Rootfs, Node:
		if !digestRE.MatchString(d.Public) {
			bad("public", "%q must be an image with its digest (name@sha256:...)", d.Public)
		}
		if len(d.Bases) > 0 || len(d.Go) > 0 {
			bad("bases, go", "are only for build: %s", Dockerfile)
		}
	case "":
		bad("build", "is missing (%s, %s or %s)", Dockerfile, Rootfs, Node)
	default:
		bad("build", "%q is not one of %s, %s, %s", d.Build, Dockerfile, Rootfs, Node)
	}
	if len(d.Packages) > 0 && d.Build != Rootfs {
		bad("packages", "are only for build: %s", Rootfs)
	}
	for i, p := range d.Packages {
		if !packageRE.MatchString(p) {
			bad(fmt.Sprintf("packages[%d]", i), "%q is not the name of a Debian package", p)
		}
	}
	for i, inc := range d.Include {
		p := path.Join(dir, inc)
		if path.IsAbs(inc) || !fs.ValidPath(p) || p == dir {
			bad(fmt.Sprintf("include[%d]", i), "%q leads out of the definitions", inc)
		} else if !isDir(fsys, p) {
			bad(fmt.Sprintf("include[%d]", i), "there is no directory %s", p)
		}
	}
	return errors.Join(errs...)
}

func (d Definition) validateDockerfile(fsys fs.FS, dir string, bad func(field, format string, args ...any)) {
	if _, err := fs.Stat(fsys, path.Join(dir, "Dockerfile")); err != nil {
		bad("build", "there is no %s", path.Join(dir, "Dockerfile"))
	}
	if d.Public != "" {
		bad("public", "is only for build: %s and %s", Rootfs, Node)
	}
	for arg, base := range d.Bases {
		if !argRE.MatchString(arg) {
			bad("bases."+arg, "is not the name of a build argument (A-Z, 0-9, _)")
		}
		if base == d.Name {
			bad("bases."+arg, "an image can't be its own base")
		}
	}
	seen := map[string]bool{}
	for i, g := range d.Go {
		field := fmt.Sprintf("go[%d]", i)
		mod := path.Join(dir, g.Module)
		if g.Module == "" || !fs.ValidPath(mod) {
			bad(field+".module", "%q leads out of the definitions", g.Module)
		} else if _, err := fs.Stat(fsys, path.Join(mod, "go.mod.txt")); err != nil {
			bad(field+".module", "there is no %s", path.Join(mod, "go.mod.txt"))
		}
		if g.Package == "" || strings.HasPrefix(g.Package, "-") {
			bad(field+".package", "%q is not a package", g.Package)
		}
		if !outputRE.MatchString(g.Output) {
			bad(field+".output", "%q is not a file name", g.Output)
		} else if seen[g.Output] {
			bad(field+".output", "%q is there twice", g.Output)
		}
		seen[g.Output] = true
	}
}

func isDir(fsys fs.FS, p string) bool {
	info, err := fs.Stat(fsys, p)
	return err == nil && info.IsDir()
}
