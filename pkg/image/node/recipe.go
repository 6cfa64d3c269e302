package node

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"labctl.dev/labctl/pkg/image/spec"
)

// recipeFile says what a node is made of.
const recipeFile = "node.yaml"

// recipe is node.yaml.
type recipe struct {
	Kubernetes string            `yaml:"kubernetes"`
	Kind       lockedModule      `yaml:"kind"`
	Debian     debian            `yaml:"debian"`
	Components []component       `yaml:"components"`
	Install    map[string]string `yaml:"install"` // program -> path on the node
	Images     []componentImage  `yaml:"images"`
	Labels     map[string]string `yaml:"labels"` // of the node image, for pkg/cluster
}

// lockedModule is a Go module with the sum of its content.
type lockedModule struct {
	Module  string `yaml:"module"`
	Version string `yaml:"version"`
	Sum     string `yaml:"sum"`
}

type debian struct {
	Suite    string   `yaml:"suite"`
	Packages []string `yaml:"packages"`
}

// component is one Go module and the programs that are compiled from it.
type component struct {
	Name     string            `yaml:"name"`
	Programs map[string]string `yaml:"programs"` // program -> package
	Tags     []string          `yaml:"tags,omitempty"`
	CGO      bool              `yaml:"cgo,omitempty"` // and linked statically
	Set      map[string]string `yaml:"set,omitempty"` // variable -> value, by the linker
}

// componentImage is an image in the node's containerd.
type componentImage struct {
	Names   []string `yaml:"names"`
	Program string   `yaml:"program,omitempty"`
	Links   []string `yaml:"links,omitempty"`  // further names of the program
	Rootfs  string   `yaml:"rootfs,omitempty"` // script that prints a tar of the root file system
}

var (
	versionRE = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)
	programRE = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
)

func parseRecipe(files map[string]spec.File) (recipe, error) {
	f, ok := files[recipeFile]
	if !ok {
		return recipe{}, fmt.Errorf("the definition has no %s", recipeFile)
	}
	var r recipe
	dec := yaml.NewDecoder(bytes.NewReader(f.Content))
	dec.KnownFields(true)
	if err := dec.Decode(&r); err != nil {
		return recipe{}, fmt.Errorf("%s: %w", recipeFile, err)
	}
	if err := r.validate(files); err != nil {
		return recipe{}, fmt.Errorf("%s: %w", recipeFile, err)
	}
	return r, nil
}

func (r recipe) validate(files map[string]spec.File) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !versionRE.MatchString(r.Kubernetes) {
		bad("kubernetes: %q is not a version", r.Kubernetes)
	}
	if r.Kind.Module == "" || !versionRE.MatchString(r.Kind.Version) || !strings.HasPrefix(r.Kind.Sum, "h1:") {
		bad("kind: module, version and sum must be given")
	}
	if r.Debian.Suite == "" || len(r.Debian.Packages) == 0 {
		bad("debian: suite and packages must be given")
	}
	programs := map[string]bool{}
	for _, c := range r.Components {
		if _, ok := files[path.Join(c.dir(), "go.mod.txt")]; !ok {
			bad("components: there is no %s", path.Join(c.dir(), "go.mod.txt"))
		}
		for p, pkg := range c.Programs {
			if !programRE.MatchString(p) || programs[p] || pkg == "" || strings.HasPrefix(pkg, "-") {
				bad("components: %s: program %q is not a name, there twice, or without a package", c.Name, p)
			}
			programs[p] = true
		}
	}
	for p, to := range r.Install {
		if !programs[p] || !path.IsAbs(to) {
			bad("install: %s: must be a program of a component and must go to an absolute path", p)
		}
	}
	for _, i := range r.Images {
		if len(i.Names) == 0 || i.Program == "" && i.Rootfs == "" {
			bad("images: %q: names and a program or script must be given", i.Names)
		}
		if i.Program != "" && !programs[i.Program] {
			bad("images: there is no program %q", i.Program)
		}
		if _, ok := files[i.Rootfs]; i.Rootfs != "" && !ok {
			bad("images: there is no %s", i.Rootfs)
		}
	}
	return errors.Join(errs...)
}

// dir is where the component's module lies in the definition.
func (c component) dir() string { return "components/" + c.Name }

// module gives the files of the component's Go module with their real names: a
// directory with a go.mod can't be embedded, so the definition adds .txt.
func (c component) module(files map[string]spec.File) []spec.File {
	var out []spec.File
	for _, p := range sortedKeys(files) {
		if rel, ok := strings.CutPrefix(p, c.dir()+"/"); ok {
			out = append(out, spec.File{Path: strings.TrimSuffix(rel, ".txt"), Content: files[p].Content})
		}
	}
	return out
}

// linkerFlags gives -ldflags.
func (c component) linkerFlags() string {
	flags := []string{"-s", "-w"}
	for _, k := range sortedKeys(c.Set) {
		flags = append(flags, "-X", k+"="+c.Set[k])
	}
	if c.CGO {
		flags = append(flags, "-linkmode=external", "-extldflags=-static")
	}
	return strings.Join(flags, " ")
}
