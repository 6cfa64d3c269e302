package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Kind is a directory of records whose meaning another package knows; this one
// only keeps them safe.
type Kind string

// The kinds of records.
const (
	Progress Kind = "progress" // a learner's history, one file per lab
	Receipts Kind = "receipts" // signed documents
	Keys     Kind = "keys"     // what signs them
)

// kinds lists the directories that Purge removes.
func kinds() []Kind { return []Kind{Progress, Receipts, Keys} }

// fileRE allows no separator, no leading dot and no upper case, which some file
// systems fold.
var fileRE = regexp.MustCompile(`^[a-z0-9][-a-z0-9_.]{0,120}$`)

// ReadRecord fills v with what is kept under a name, and tells whether there
// was anything. A file that can't be understood is set aside and counts as
// none; one of a newer labctl is an error.
func (d *Dir) ReadRecord(k Kind, name string, v any) (bool, error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	return d.readJSON(filepath.Join(string(k), name+".json"), v)
}

// WriteRecord keeps v under a name. The caller holds the lock that it needs.
func (d *Dir) WriteRecord(k Kind, name string, v any) error {
	if err := checkName(name); err != nil {
		return err
	}
	return d.writeJSON(filepath.Join(string(k), name+".json"), v)
}

// ReadFile gives the content of a file of that kind. The error is
// fs.ErrNotExist when there is none.
func (d *Dir) ReadFile(k Kind, file string) ([]byte, error) {
	if !fileRE.MatchString(file) {
		return nil, fmt.Errorf("%q: %w", file, ErrName)
	}
	return os.ReadFile(filepath.Join(d.root, string(k), file))
}

// WriteFile replaces a file of that kind, readable by its owner only, and gives
// its path.
func (d *Dir) WriteFile(k Kind, file string, content []byte) (string, error) {
	if !fileRE.MatchString(file) {
		return "", fmt.Errorf("%q: %w", file, ErrName)
	}
	rel := filepath.Join(string(k), file)
	return filepath.Join(d.root, rel), d.writeFile(rel, content)
}

// Files gives the names of the files of that kind, sorted. What was set aside or
// is half written is left out.
func (d *Dir) Files(k Kind) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.root, string(k)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", k, err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && fileRE.MatchString(e.Name()) && !strings.Contains(e.Name(), corruptMark) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
