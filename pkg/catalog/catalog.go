// Package catalog finds labs in a file system: the embedded one, or a
// directory of the user. It is not for understanding a lab, which is pkg/lab,
// nor for rendering its chart, which is pkg/release.
package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/lab"
)

// ErrNotFound is in the chain of every error about a lab that isn't there.
var ErrNotFound = errors.New("lab not found")

// NotFoundError says which lab isn't there, and which ones may be meant.
type NotFoundError struct {
	Name string
	Near []string
}

// Error names the lab and the near matches.
func (e *NotFoundError) Error() string {
	msg := fmt.Sprintf("there is no lab %q", e.Name)
	if len(e.Near) > 0 {
		msg += "; did you mean " + strings.Join(e.Near, " or ") + "?"
	}
	return msg
}

// Is makes errors.Is(err, ErrNotFound) true.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// Entry is one lab with the files of its directory.
type Entry struct {
	Lab *lab.Lab
	FS  fs.FS
}

// Catalog is a directory with one directory per lab.
type Catalog struct {
	fsys fs.FS
	dir  string // on disk; empty for any other
}

// New makes a catalog of an embedded or in-memory file system.
func New(fsys fs.FS) *Catalog { return &Catalog{fsys: fsys} }

// Open makes a catalog of a directory on disk.
func Open(dir string) (*Catalog, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("open the labs directory: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open the labs directory: %s is not a directory", dir)
	}
	return &Catalog{fsys: os.DirFS(dir), dir: dir}, nil
}

// Names gives the names of all labs, sorted. It reads no lab, so that a broken
// one does not hide from shell completion.
func (c *Catalog) Names() ([]string, error) {
	dirs, err := fs.ReadDir(c.fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var names []string
	for _, d := range dirs {
		if !d.IsDir() || !lab.ValidName(d.Name()) {
			continue
		}
		if _, err := fs.Stat(c.fsys, d.Name()+"/"+lab.FileName); err == nil {
			names = append(names, d.Name())
		}
	}
	return names, nil
}

// List gives all labs, sorted by level and then by name. A broken lab does not
// hide the others: the error is then that of the broken ones, and the labs
// that can be read are returned beside it.
func (c *Catalog) List() ([]Entry, error) {
	names, err := c.Names()
	if err != nil {
		return nil, err
	}
	// Side by side: no lab needs another to be read.
	read := make([]Entry, len(names))
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { read[i], errs[i] = c.read(name) })
	}
	all.Wait()
	entries := slices.DeleteFunc(read, func(e Entry) bool { return e.Lab == nil })
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Lab.Metadata.Level - b.Lab.Metadata.Level })
	return entries, errors.Join(errs...)
}

// Get gives the lab of that name. The error is a *NotFoundError, which is
// ErrNotFound, when there is none.
func (c *Catalog) Get(name string) (Entry, error) {
	if err := c.has(name); err != nil {
		return Entry{}, err
	}
	return c.read(name)
}

// Files gives the directory of a lab as it is, valid or not, and where it lies:
// a path on disk, or the lab's name when it comes from elsewhere.
func (c *Catalog) Files(name string) (fs.FS, string, error) {
	if err := c.has(name); err != nil {
		return nil, "", err
	}
	files, err := fs.Sub(c.fsys, name)
	if err != nil {
		return nil, "", fmt.Errorf("open lab %s: %w", name, err)
	}
	return files, filepath.Join(c.dir, name), nil
}

// has makes sure that only names from the listing are ever made into a path.
func (c *Catalog) has(name string) error {
	names, err := c.Names()
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return &NotFoundError{Name: name, Near: near.Names(name, names)}
	}
	return nil
}

func (c *Catalog) read(name string) (Entry, error) {
	dir, err := fs.Sub(c.fsys, name)
	if err != nil {
		return Entry{}, fmt.Errorf("open lab %s: %w", name, err)
	}
	if err := onlyFiles(name, dir); err != nil {
		return Entry{}, err
	}
	data, err := readSpec(dir)
	if err != nil {
		return Entry{}, fmt.Errorf("read lab %s: %w", name, err)
	}
	l, err := lab.Decode(name+"/"+lab.FileName, data)
	if err != nil {
		return Entry{}, fmt.Errorf("lab %s is not valid: %w", name, err)
	}
	if l.Metadata.Name != name {
		return Entry{}, fmt.Errorf("lab %s is not valid: %s/%s: metadata.name is %q; it must be the name of the directory",
			name, name, lab.FileName, l.Metadata.Name)
	}
	return Entry{Lab: l, FS: dir}, nil
}

// onlyFiles refuses links and devices. A lab from somebody else must not be
// able to put a file of this machine into a cluster.
func onlyFiles(name string, dir fs.FS) error {
	return fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read lab %s: %w", name, err)
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return fmt.Errorf("lab %s is not valid: %s/%s is a link or a special file; only plain files are allowed", name, name, path)
		}
		return nil
	})
}

// readSpec reads no more of a lab.yaml than it may have.
func readSpec(dir fs.FS) ([]byte, error) {
	f, err := dir.Open(lab.FileName)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	// One byte more, so that decoding sees that it is too large.
	return io.ReadAll(io.LimitReader(f, lab.MaxSize+1))
}
