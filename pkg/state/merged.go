package state

import (
	"os"
	"path/filepath"
	"slices"
)

// mergedFile lists what was added to kubeconfigs of the user.
const mergedFile = "merged.json"

// Merged is a context that was added to a kubeconfig of the user, so that it
// can be taken out again when its lab goes.
type Merged struct {
	Lab     string `json:"lab"`
	File    string `json:"file"`
	Context string `json:"context"`
}

// Merged gives every context that was added.
func (d *Dir) Merged() ([]Merged, error) {
	var list []Merged
	_, err := d.readJSON(mergedFile, &list)
	return list, err
}

// AddMerged notes a context that was added. The caller holds the lab's lock.
func (d *Dir) AddMerged(m Merged) error {
	list, err := d.Merged()
	if err != nil || slices.Contains(list, m) {
		return err
	}
	return d.writeJSON(mergedFile, append(list, m))
}

// ForgetMerged drops the notes about a lab.
func (d *Dir) ForgetMerged(lab string) error {
	list, err := d.Merged()
	if err != nil {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(m Merged) bool { return m.Lab == lab })
	switch {
	case len(kept) == len(list):
		return nil
	case len(kept) == 0:
		return os.Remove(filepath.Join(d.root, mergedFile))
	default:
		return d.writeJSON(mergedFile, kept)
	}
}
