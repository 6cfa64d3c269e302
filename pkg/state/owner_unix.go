//go:build unix

package state

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ownedByUser tells whether the file belongs to the user of this process, and
// to whom else.
func ownedByUser(info fs.FileInfo) (owner string, ok bool) {
	st, isStat := info.Sys().(*syscall.Stat_t)
	if !isStat || int(st.Uid) == os.Geteuid() {
		return "", true
	}
	return fmt.Sprintf("user id %d, not to you (%d)", st.Uid, os.Geteuid()), false
}
