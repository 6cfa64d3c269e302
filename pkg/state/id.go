package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// IDFile is the name of the file in the id directory.
const IDFile = "cluster-id"

var idRE = regexp.MustCompile(`^[0-9a-f]{16}$`)

// ID marks the clusters of this directory. Dir holds nothing but the id and is
// mounted read-only into every node, so the engine itself can say whose a node
// is, even when the node is stopped or half made.
type ID struct {
	Value string
	Dir   string
}

// Owns tells whether a node that has source mounted as its id directory belongs
// to this state directory. The engine may show the path with a prefix of its
// own (Docker Desktop), and an id that was lost and drawn anew leaves the
// parent directory the same.
func (id ID) Owns(source string) bool {
	parent := filepath.ToSlash(filepath.Dir(id.Dir))
	src := filepath.ToSlash(filepath.Clean(source))
	if hasPathSuffix(src, filepath.ToSlash(id.Dir)) || filepath.Base(src) == id.Value {
		return true
	}
	return idRE.MatchString(filepath.Base(src)) && hasPathSuffix(filepath.ToSlash(filepath.Dir(src)), parent)
}

func hasPathSuffix(path, suffix string) bool {
	return path == suffix || len(path) > len(suffix) && path[len(path)-len(suffix):] == suffix
}

// ClusterID gives the id of this directory, drawing it on first use.
func (d *Dir) ClusterID() (ID, error) {
	base, err := d.mkdir(idDir)
	if err != nil {
		return ID{}, err
	}
	if id, ok, err := findID(base); err != nil || ok {
		return id, err
	}
	raw := make([]byte, 8)
	if _, err := rand.Read(raw); err != nil {
		return ID{}, fmt.Errorf("draw a cluster id: %w", err)
	}
	value := hex.EncodeToString(raw)
	// The directory must be readable in the node, where it is mounted; the
	// private root keeps it from other users of this machine.
	if err := d.writeFile(filepath.Join(idDir, value, IDFile), []byte(value+"\n")); err != nil {
		return ID{}, err
	}
	// Two processes may have drawn at once: both take the first by name.
	id, ok, err := findID(base)
	if err == nil && !ok {
		err = fmt.Errorf("cluster id %s: %w", value, fs.ErrNotExist)
	}
	return id, err
}

// findID gives the first id in base. A directory whose file is lost or wrong
// gets it back: its name is the id.
func findID(base string) (ID, bool, error) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return ID{}, false, fmt.Errorf("read cluster id: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || !idRE.MatchString(e.Name()) {
			continue
		}
		id := ID{Value: e.Name(), Dir: filepath.Join(base, e.Name())}
		file := filepath.Join(id.Dir, IDFile)
		content, err := os.ReadFile(file)
		switch {
		case err == nil && string(content) == id.Value+"\n":
		case err == nil || errors.Is(err, fs.ErrNotExist):
			if err := os.WriteFile(file, []byte(id.Value+"\n"), 0o600); err != nil {
				return ID{}, false, fmt.Errorf("restore cluster id: %w", err)
			}
		default:
			return ID{}, false, fmt.Errorf("read cluster id: %w", err)
		}
		return id, true, nil
	}
	return ID{}, false, nil
}
