// Package state is labctl's directory on this machine. It holds what a cluster
// can't hold: the private kubeconfig, locks, logs, the id that marks our
// clusters, which cluster a lab was put on, and the learner's history.
//
// It is not a database of labs or clusters: what runs is asked of the engine
// and of Kubernetes, so losing the whole directory loses no lab.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/adrg/xdg"

	"labctl.dev/labctl/pkg/clierr"
)

// The parts of the directory. Purge removes these and nothing else.
const (
	idDir      = "id"
	clusterDir = "clusters"
	lockDir    = "locks"
	logDir     = "logs"
	targetDir  = "targets"
)

// corruptMark stands in the name of a file that could not be read and was set
// aside.
const corruptMark = ".corrupt-"

// ErrName is returned for a name that can't be part of a path.
var ErrName = errors.New("not a valid name")

// nameRE is deliberately narrower than what file systems allow: names of labs
// and clusters are DNS labels, and nothing else can reach outside the
// directory.
var nameRE = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Dir is the state directory. It is created when something is first written.
// Its methods are safe for concurrent use by several processes.
type Dir struct {
	root string
	warn func(string)
}

// Option changes how a Dir works.
type Option func(*Dir)

// WithWarnings calls fn for trouble that was got over, such as a corrupt file
// that was set aside.
func WithWarnings(fn func(msg string)) Option { return func(d *Dir) { d.warn = fn } }

// DefaultRoot is the directory used when the user names none: labctl below
// XDG_STATE_HOME or the platform's place for state.
func DefaultRoot() string { return filepath.Join(xdg.StateHome, "labctl") }

// Open gives the directory at root ("" means DefaultRoot). A directory that
// exists must belong to the user, since it holds credentials; it is made
// private if it is not.
func Open(root string, opts ...Option) (*Dir, error) {
	if root == "" {
		root = DefaultRoot()
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", root, err)
	}
	d := &Dir{root: abs, warn: func(string) {}}
	for _, o := range opts {
		o(d)
	}
	info, err := os.Stat(d.root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d, nil
	case err != nil:
		return nil, clierr.Wrap(err, "open the state directory", "Set LABCTL_STATE_DIR to a directory you can write to.")
	}
	return d, d.secure(info)
}

// Root is the directory's path.
func (d *Dir) Root() string { return d.root }

// KubeconfigPath is the private kubeconfig of a kind cluster of ours. The file
// may not exist.
func (d *Dir) KubeconfigPath(cluster string) string {
	return filepath.Join(d.root, clusterDir, safeName(cluster), "kubeconfig")
}

// WriteKubeconfig replaces the private kubeconfig of a cluster.
func (d *Dir) WriteKubeconfig(cluster string, content []byte) error {
	if err := checkName(cluster); err != nil {
		return err
	}
	return d.writeFile(filepath.Join(clusterDir, cluster, "kubeconfig"), content)
}

// ForgetCluster removes what is kept for a cluster that is gone.
func (d *Dir) ForgetCluster(cluster string) error {
	if err := checkName(cluster); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(d.root, clusterDir, cluster))
}

// Purge removes everything that labctl keeps in the directory, and the
// directory if nothing else is in it. The caller holds the locks it needs.
func (d *Dir) Purge() error {
	var errs []error
	names := []string{idDir, clusterDir, targetDir, logDir, mergedFile, lockDir}
	for _, k := range kinds() {
		names = append(names, string(k))
	}
	for _, name := range names {
		errs = append(errs, os.RemoveAll(filepath.Join(d.root, name)))
	}
	entries, err := os.ReadDir(d.root)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errs...)
	}
	if err == nil && len(entries) == 0 {
		err = os.Remove(d.root)
	}
	return errors.Join(append(errs, err)...)
}

// mkdir makes a directory below the root, and the root.
func (d *Dir) mkdir(rel string) (string, error) {
	path := filepath.Join(d.root, rel)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", clierr.Wrap(err, "make the state directory", "Set LABCTL_STATE_DIR to a directory you can write to.")
	}
	info, err := os.Stat(d.root)
	if err != nil {
		return "", err
	}
	return path, d.secure(info)
}

// secure refuses a root that is not a directory of this user, and takes access
// by others away. The kubeconfig in it is the cluster's administrator, and a
// directory that somebody else can write to would let them plant links.
func (d *Dir) secure(info fs.FileInfo) error {
	const hint = "Set LABCTL_STATE_DIR to a directory of your own, and run labctl as the user that owns it (not through sudo)."
	if !info.IsDir() {
		return clierr.New(hint, "state directory %s is not a directory", d.root)
	}
	if owner, ok := ownedByUser(info); !ok {
		return clierr.New(hint, "state directory %s belongs to %s", d.root, owner)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(d.root, 0o700); err != nil {
			return clierr.Wrap(err, "make the state directory private", hint)
		}
	}
	return nil
}

func checkName(name string) error {
	if !nameRE.MatchString(name) {
		return fmt.Errorf("%q: %w", name, ErrName)
	}
	return nil
}

// safeName keeps a bad name inside the directory where no error can be
// returned; nothing was ever written under it.
func safeName(name string) string {
	if checkName(name) == nil {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == '.' || r == 0 {
			return '_'
		}
		return r
	}, name) + "_"
}
