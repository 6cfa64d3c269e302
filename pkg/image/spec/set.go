package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
)

// GolangImage compiles Go programs where public images can be pulled.
const GolangImage = "docker.io/library/golang:1.26-bookworm@sha256:b305420a68d0f229d91eb3b3ed9e519fcf2cf5461da4bef997bf927e8c0bfd2b"

// These go into the hashes, because the builder is part of what makes an image.
// Count them up when it changes in a way that makes images built before wrong.
const (
	tagScheme    = "labctl-image-1" // of every image
	rootfsScheme = "rootfs-2"       // of root file systems
)

// ErrUnknown is returned for a name that has no definition.
var ErrUnknown = errors.New("no such image")

// Set is all definitions of one file system.
type Set struct {
	fsys  fs.FS
	defs  map[string]Definition
	order []string
}

// Load reads every directory of fsys that holds an image.yaml. It reports all
// faults at once.
func Load(fsys fs.FS) (*Set, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("read image definitions: %w", err)
	}
	s := &Set{fsys: fsys, defs: map[string]Definition{}}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if _, err := fs.Stat(fsys, path.Join(e.Name(), FileName)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		d, err := decode(fsys, e.Name())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.defs[d.Name] = d
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if err := s.sort(); err != nil {
		return nil, err
	}
	return s, nil
}

// sort puts bases before what is built on them.
func (s *Set) sort() error {
	state := map[string]int{} // 1: on the way down, 2: done
	var visit func(name string, trail []string) error
	visit = func(name string, trail []string) error {
		trail = append(trail, name)
		switch state[name] {
		case 1:
			return fmt.Errorf("images are bases of each other: %s", strings.Join(trail, " -> "))
		case 2:
			return nil
		}
		state[name] = 1
		bases := s.defs[name].Bases
		for _, arg := range slices.Sorted(maps.Keys(bases)) {
			if _, ok := s.defs[bases[arg]]; !ok {
				return fmt.Errorf("%s: bases.%s: there is no image %q", path.Join(name, FileName), arg, bases[arg])
			}
			if err := visit(bases[arg], trail); err != nil {
				return err
			}
		}
		state[name] = 2
		s.order = append(s.order, name)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.defs)) {
		if err := visit(name, nil); err != nil {
			return err
		}
	}
	return nil
}

// Names gives all images, bases first.
func (s *Set) Names() []string { return slices.Clone(s.order) }

// Get gives one definition.
func (s *Set) Get(name string) (Definition, error) {
	d, ok := s.defs[name]
	if !ok {
		return Definition{}, clierr.New("the images are: "+strings.Join(slices.Sorted(maps.Keys(s.defs)), ", "), "image %q: %w", name, ErrUnknown)
	}
	return d, nil
}

// Bases gives the names of the images that name is built on, sorted.
func (s *Set) Bases(name string) []string {
	return slices.Compact(slices.Sorted(maps.Values(s.defs[name].Bases)))
}

// Tag gives the content tag of an image built in the given way for a platform
// ("linux/amd64"): 12 hex digits over everything that goes into it.
func (s *Set) Tag(name string, way Way, platform string) (string, error) {
	d, err := s.Get(name)
	if err != nil {
		return "", err
	}
	files, err := s.Files(name)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", tagScheme, way, platform)
	if d.Build == Rootfs {
		fmt.Fprintln(h, rootfsScheme)
	}
	if way == Public && len(d.Go) > 0 {
		fmt.Fprintln(h, GolangImage)
	}
	for _, arg := range slices.Sorted(maps.Keys(d.Bases)) {
		tag, err := s.Tag(d.Bases[arg], way, platform)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "base %s=%s\n", arg, tag)
	}
	for _, f := range files {
		fmt.Fprintf(h, "file %q %d\n", f.Path, len(f.Content))
		h.Write(f.Content)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}
