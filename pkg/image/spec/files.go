package spec

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// File is one file of a build context.
type File struct {
	Path    string // in the context, with slashes
	Content []byte
	Exec    bool
}

// Files gives the context of an image, sorted by path: its directory and the
// directories it includes, each under its own base name.
//
// What comes out is the same on every machine: embedded files carry no modes,
// so a file is executable when it starts with "#!", and a checkout on Windows
// may have changed line ends, so text always has "\n".
func (s *Set) Files(name string) ([]File, error) {
	d, err := s.Get(name)
	if err != nil {
		return nil, err
	}
	files, err := readTree(s.fsys, name, "")
	if err != nil {
		return nil, err
	}
	for _, inc := range d.Include {
		dir := path.Join(name, inc)
		more, err := readTree(s.fsys, dir, path.Base(dir))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for i := 1; i < len(files); i++ {
		if files[i].Path == files[i-1].Path {
			return nil, fmt.Errorf("image %s: %s comes from two directories", name, files[i].Path)
		}
	}
	return files, nil
}

// readTree reads all files below dir; prefix goes before their paths.
func readTree(fsys fs.FS, dir, prefix string) ([]File, error) {
	var files []File
	err := fs.WalkDir(fsys, dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p != dir && ignored(e) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !e.Type().IsRegular() {
			return nil
		}
		raw, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(p, dir), "/")
		raw = normalise(raw)
		files = append(files, File{Path: path.Join(prefix, rel), Content: raw, Exec: bytes.HasPrefix(raw, []byte("#!"))})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read image files: %w", err)
	}
	return files, nil
}

// ignored names what lies in a working directory without being part of an
// image. A binary built from a checkout embeds such files too, and they must
// not change the tag.
func ignored(e fs.DirEntry) bool {
	name := e.Name()
	if e.IsDir() {
		switch name {
		case "tests", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".venv", ".idea", ".vscode":
			return true
		}
		return false
	}
	switch {
	case name == "README.md", name == ".DS_Store", name == "Thumbs.db":
		return true
	case strings.HasSuffix(name, ".pyc"), strings.HasSuffix(name, "~"), strings.HasSuffix(name, ".swp"):
		return true
	}
	return false
}

// normalise gives text Unix line ends; a file with a NUL byte is not text.
func normalise(raw []byte) []byte {
	if bytes.IndexByte(raw, 0) >= 0 {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
}
