package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// listener names the process that listens on a TCP port, as far as this user
// may look: without root only processes of the same user are seen.
func (m Machine) listener(port int) string {
	if m.OS != "linux" {
		return ""
	}
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		m.listening(table, port, inodes)
	}
	if len(inodes) == 0 {
		return ""
	}
	fds, _ := filepath.Glob(m.Path("/proc/[0-9]*/fd/*"))
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil || !inodes[link] {
			continue
		}
		pid := filepath.Base(filepath.Dir(filepath.Dir(fd)))
		return fmt.Sprintf("process %s (pid %s)", m.text("/proc/"+pid+"/comm"), pid)
	}
	return ""
}

// listening collects the sockets in state LISTEN (0A) on a port.
func (m Machine) listening(table string, port int, inodes map[string]bool) {
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.SplitSeq(m.text(table), "\n") {
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], suffix) {
			inodes["socket:["+f[9]+"]"] = true
		}
	}
}
