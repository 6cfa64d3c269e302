package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Target is the cluster that a lab was put on when it is not our own kind
// cluster, so that later commands need no flags.
type Target struct {
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
	Registry   string `json:"registry,omitempty"`
}

func targetFile(lab string) string { return filepath.Join(targetDir, lab+".json") }

// Target gives what is remembered of a lab; ok is false when that is nothing.
func (d *Dir) Target(lab string) (t Target, ok bool, err error) {
	if err := checkName(lab); err != nil {
		return Target{}, false, err
	}
	ok, err = d.readJSON(targetFile(lab), &t)
	if err != nil || !ok {
		return Target{}, false, err
	}
	return t, true, nil
}

// SetTarget remembers where a lab is.
func (d *Dir) SetTarget(lab string, t Target) error {
	if err := checkName(lab); err != nil {
		return err
	}
	return d.writeJSON(targetFile(lab), t)
}

// ForgetTarget forgets where a lab is.
func (d *Dir) ForgetTarget(lab string) error {
	if err := checkName(lab); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(d.root, targetFile(lab))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the cluster of lab %s: %w", lab, err)
	}
	return nil
}

// Targets gives every remembered lab.
func (d *Dir) Targets() (map[string]Target, error) {
	entries, err := os.ReadDir(filepath.Join(d.root, targetDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list remembered clusters: %w", err)
	}
	all := make(map[string]Target)
	for _, e := range entries {
		lab, isJSON := strings.CutSuffix(e.Name(), ".json")
		if !isJSON || checkName(lab) != nil {
			continue
		}
		t, ok, err := d.Target(lab)
		if err != nil {
			return nil, err
		}
		if ok {
			all[lab] = t
		}
	}
	return all, nil
}
