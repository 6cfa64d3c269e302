//go:build !linux

package host

import (
	"errors"
	"fmt"
)

// diskFree has nothing to measure here: away from Linux the engine's disk is
// inside a virtual machine.
func diskFree(path string) (Disk, error) {
	return Disk{}, fmt.Errorf("free space of %s: %w", path, errors.ErrUnsupported)
}
