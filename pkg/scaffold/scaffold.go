// Package scaffold writes the files of a new lab: a small one that is whole, so
// that its author changes something that works. It is not for changing labs
// that exist.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"labctl.dev/labctl/docs/schema"
	"labctl.dev/labctl/pkg/lab"
)

//go:embed all:template
var template embed.FS

// ErrExists says that there is a file or directory already.
var ErrExists = errors.New("it exists already")

// Result says what was written.
type Result struct {
	Lab   string   `json:"lab"`
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
}

// New writes the lab of that name below the directory dir, which is made when
// it is not there. Nothing that exists is written over. After an error nothing
// of the lab is left.
func New(dir, name string) (*Result, error) {
	if !lab.ValidName(name) {
		return nil, fmt.Errorf("%q can't be the name of a lab; one has lower-case letters, digits and dashes, at most 40 of them", name)
	}
	target := filepath.Join(dir, name)
	if _, err := os.Lstat(target); err == nil {
		return nil, fmt.Errorf("write %s: %w", target, ErrExists)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("write %s: %w", target, err)
	}
	// Written aside and moved: a lab is there as a whole or not at all.
	work, err := os.MkdirTemp(dir, ".new-"+name+"-")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", target, err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	schemaFile, err := provideSchema(dir)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", target, err)
	}
	files, err := write(work, name, schemaFile)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", target, err)
	}
	if err := os.Chmod(work, 0o755); err != nil { //nolint:gosec // a lab is no secret
		return nil, fmt.Errorf("write %s: %w", target, err)
	}
	if err := os.Rename(work, target); err != nil {
		return nil, fmt.Errorf("write %s: %w", target, err)
	}
	return &Result{Lab: name, Dir: target, Files: files}, nil
}

// Files gives the files of a new lab, with schemaFile as where lab.yaml says
// that its schema is.
func Files(name, schemaFile string) (map[string][]byte, error) {
	replace := strings.NewReplacer("@NAME@", name, "@TITLE@", title(name), "@PREFIX@", prefix(name), "@SCHEMA@", schemaFile)
	files := map[string][]byte{}
	err := fs.WalkDir(template, "template", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := template.ReadFile(p)
		if err != nil {
			return err
		}
		files[strings.TrimPrefix(p, "template/")] = []byte(replace.Replace(string(data)))
		return nil
	})
	return files, err
}

func write(dir, name, schemaFile string) ([]string, error) {
	files, err := Files(name, schemaFile)
	if err != nil {
		return nil, err
	}
	var written []string
	for _, p := range slices.Sorted(maps.Keys(files)) {
		at := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(at, files[p], 0o644); err != nil { //nolint:gosec // a lab is no secret
			return nil, err
		}
		written = append(written, p)
	}
	return written, nil
}

// provideSchema gives the way from a lab to the schema of lab.yaml. In a
// checkout of labctl that is the one in its documentation; elsewhere a copy
// lies beside the labs, so that editors need no network.
func provideSchema(dir string) (string, error) {
	docs := path.Join("docs", "schema", schema.FileName)
	if _, err := os.Stat(filepath.Join(dir, "..", filepath.FromSlash(docs))); err == nil {
		return path.Join("..", "..", docs), nil
	}
	at := filepath.Join(dir, schema.FileName)
	if old, err := os.ReadFile(at); err == nil && bytes.Equal(old, schema.Lab) {
		return path.Join("..", schema.FileName), nil
	}
	return path.Join("..", schema.FileName), os.WriteFile(at, schema.Lab, 0o644) //nolint:gosec // no secret
}

// title makes "My lab" of "my-lab".
func title(name string) string {
	words := []rune(strings.ReplaceAll(name, "-", " "))
	words[0] = unicode.ToUpper(words[0])
	return string(words)
}

// prefix makes two capitals for the ids of checks: the first letters of two
// words, else the first two letters.
func prefix(name string) string {
	var initials, all []rune
	for w := range strings.SplitSeq(name, "-") {
		letters := []rune(strings.TrimLeftFunc(w, func(r rune) bool { return !unicode.IsLetter(r) }))
		if len(letters) > 0 {
			initials = append(initials, letters[0])
		}
		for _, r := range w {
			if unicode.IsLetter(r) {
				all = append(all, r)
			}
		}
	}
	if len(initials) < 2 {
		initials = all
	}
	initials = append(initials, 'x', 'x')
	return strings.ToUpper(string(initials[:2]))
}
