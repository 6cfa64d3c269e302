package node

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tarball writes files that belong to root and are as old as time, so that the
// same content is the same tar.
type tarball struct{ w *tar.Writer }

func newTarball(w io.Writer) tarball { return tarball{w: tar.NewWriter(w)} }

func (t tarball) header(name string, typ byte, mode int64) *tar.Header {
	return &tar.Header{
		Name: strings.TrimPrefix(name, "/"), Typeflag: typ, Mode: mode,
		ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
}

// text adds a file with the given content.
func (t tarball) text(name string, content []byte, mode int64) error {
	return t.copy(name, bytes.NewReader(content), int64(len(content)), mode)
}

// file adds a file of this machine.
func (t tarball) file(name, from string, mode int64) (err error) {
	f, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return t.copy(name, f, info.Size(), mode)
}

func (t tarball) copy(name string, r io.Reader, size, mode int64) error {
	h := t.header(name, tar.TypeReg, mode)
	h.Size = size
	if err := t.w.WriteHeader(h); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	if _, err := io.Copy(t.w, r); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	return nil
}

// link adds a symbolic link.
func (t tarball) link(name, to string) error {
	h := t.header(name, tar.TypeSymlink, 0o777)
	h.Linkname = to
	return t.w.WriteHeader(h)
}

func (t tarball) close() error { return t.w.Close() }

// nodeFiles writes what lies over the root file system: kind's files, ours, the
// programs, and the scripts that run next.
func (j *job) nodeFiles(w io.Writer) error {
	t := newTarball(w)
	root := os.DirFS(j.kindFiles)
	err := fs.WalkDir(root, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		return t.text(p, raw, scriptMode(raw))
	})
	if err != nil {
		return fmt.Errorf("read kind's base files: %w", err)
	}
	for _, p := range sortedKeys(j.files) {
		f := j.files[p]
		var to string
		if rel, ok := strings.CutPrefix(p, "files/"); ok {
			to = rel
		} else if rel, ok := strings.CutPrefix(p, "build/"); ok {
			to = buildDir + "/" + rel
		} else {
			continue
		}
		if err := t.text(to, f.Content, scriptMode(f.Content)); err != nil {
			return err
		}
	}
	for _, p := range sortedKeys(j.recipe.Install) {
		if err := t.file(j.recipe.Install[p], j.programs[p], 0o755); err != nil {
			return err
		}
	}
	return t.close()
}

// scriptMode makes scripts executable: neither embedded files nor those of the
// module cache have a mode.
func scriptMode(content []byte) int64 {
	if bytes.HasPrefix(content, []byte("#!")) {
		return 0o755
	}
	return 0o644
}
