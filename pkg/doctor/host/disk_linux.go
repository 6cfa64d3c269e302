package host

import (
	"fmt"
	"syscall"
)

func diskFree(path string) (Disk, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return Disk{}, fmt.Errorf("statfs %s: %w", path, err)
	}
	block := uint64(st.Bsize)                                                                                  //nolint:gosec // a block size is positive
	d := Disk{FreeMi: int64(st.Bavail * block >> 20), TotalMi: int64(st.Blocks * block >> 20), FreeInodes: -1} //nolint:gosec // far below 2^63
	if st.Files > 0 {
		d.FreeInodes = int64(st.Ffree) //nolint:gosec // far below 2^63
	}
	return d, nil
}
