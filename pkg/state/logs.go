package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keptLogs is how many log directories of one name stay.
const keptLogs = 5

// LogDir makes a new directory for logs called name and removes the oldest of
// that name.
func (d *Dir) LogDir(name string, now time.Time) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	base, err := d.mkdir(logDir)
	if err != nil {
		return "", err
	}
	stamp := now.UTC().Format("20060102T150405.000Z")
	path := filepath.Join(base, name+"."+stamp)
	for n := 2; ; n++ {
		err := os.Mkdir(path, 0o700)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("make log directory: %w", err)
		}
		path = filepath.Join(base, fmt.Sprintf("%s.%s-%d", name, stamp, n))
	}
	return path, pruneLogs(base, name)
}

func pruneLogs(base, name string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return fmt.Errorf("list logs: %w", err)
	}
	var mine []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), name+".") {
			mine = append(mine, e.Name())
		}
	}
	slices.Sort(mine)
	var errs []error
	for len(mine) > keptLogs {
		errs = append(errs, os.RemoveAll(filepath.Join(base, mine[0])))
		mine = mine[1:]
	}
	return errors.Join(errs...)
}
