package host

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/version"
)

// OtherLabctl is a program of our name that a shell would start in our place.
type OtherLabctl struct {
	Path string
	// Ours is true for another build of this project.
	Ours bool
}

// others walks PATH up to ourselves and collects what has our name.
func (m Machine) others(ctx context.Context) []OtherLabctl {
	self, err := m.Executable()
	if err != nil {
		return nil
	}
	me, err := os.Stat(m.Path(self))
	if err != nil {
		return nil
	}
	name := "labctl"
	if m.OS == "windows" {
		name += ".exe"
	}
	var out []OtherLabctl
	for _, dir := range filepath.SplitList(m.env("PATH")) {
		if !filepath.IsAbs(dir) && m.OS != "windows" {
			continue
		}
		p := filepath.Join(dir, name)
		st, err := os.Stat(m.Path(p))
		if err != nil || st.IsDir() || m.OS != "windows" && st.Mode()&0o111 == 0 {
			continue
		}
		if os.SameFile(st, me) {
			return out
		}
		out = append(out, OtherLabctl{Path: p, Ours: m.isOurs(ctx, p)})
	}
	return out
}

// isOurs looks for our project's name inside the file. The program is not
// started: who knows what it would do.
func (m Machine) isOurs(ctx context.Context, p string) bool {
	f, err := os.Open(m.Path(p))
	if err != nil {
		return false
	}
	defer f.Close()
	return contains(ctx, f, []byte(version.Project))
}

// contains looks for a word in a stream without holding it in memory.
func contains(ctx context.Context, r io.Reader, word []byte) bool {
	br := bufio.NewReaderSize(r, 1<<20)
	for ctx.Err() == nil {
		window, err := br.Peek(1 << 20)
		if bytes.Contains(window, word) {
			return true
		}
		if err != nil || len(window) < len(word) {
			return false
		}
		// Keep a tail, so that a word across two windows is found.
		if _, err := br.Discard(len(window) - len(word) + 1); err != nil {
			return false
		}
	}
	return false
}

// Tools are the programs that building images at home needs.
type Tools struct {
	// Packages are the Debian packages that are missing.
	Packages []string
	// Go is the version of the Go toolchain, "" without one.
	Go string
	// Asked is true when the tools were looked for.
	Asked bool
}

func (m Machine) tools(ctx context.Context, wanted bool) Tools {
	if !wanted {
		return Tools{}
	}
	t := Tools{Asked: true}
	need := func(there bool, pkgs ...string) {
		if !there {
			t.Packages = append(t.Packages, pkgs...)
		}
	}
	need(m.Find("mmdebstrap") != "", "mmdebstrap")
	need(m.Find("gcc") != "" && m.Exists("/usr/include/stdio.h"), "gcc", "libc6-dev")
	need(m.Find("pkg-config") != "", "pkg-config")
	need(m.Exists("/usr/include/seccomp.h"), "libseccomp-dev")
	need(m.staticBusybox(), "busybox-static")
	need(m.Exists("/usr/share/keyrings/debian-archive-keyring.gpg"), "debian-archive-keyring")
	// GOTOOLCHAIN=local: asking must not make Go fetch another toolchain.
	ask := execx.Cmd{Name: "go", Args: []string{"env", "GOVERSION"}, Env: []string{"GOTOOLCHAIN=local"}, Dir: os.TempDir()}
	if out, err := execx.Output(ctx, m.Run, ask); err == nil {
		t.Go = strings.TrimSpace(string(out))
	}
	return t
}

// staticBusybox tells Debian's static busybox from the one that needs libraries.
func (m Machine) staticBusybox() bool {
	if m.Find("busybox") == "" {
		return false
	}
	return m.Exists("/var/lib/dpkg/info/busybox-static.list") || !m.Exists("/var/lib/dpkg/info")
}
