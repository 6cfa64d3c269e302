package doctor

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/doctor/host"
)

// Clocks: certificates of a new cluster are valid from five minutes back.
const (
	warnSkew = 5 * time.Second
	failSkew = 4 * time.Minute
)

func judgeSkew(f host.Facts) []Finding {
	if f.Engine.State != host.Running {
		return nil
	}
	d := f.Engine.Skew.Round(time.Second)
	fd := Finding{ID: IDTimeSkew, Status: OK, Title: "clocks", Found: "engine and host agree", Needed: "at most 5 s apart"}
	if d.Abs() > warnSkew {
		word := "behind"
		if d > 0 {
			word = "ahead of"
		}
		fd.Found = fmt.Sprintf("the engine's clock is %s %s the host's", d.Abs(), word)
		fd.Why = "metrics and log times are wrong; drift windows too"
		fd.Status, fd.Fix = Warn, restartAdvice(f)
	}
	if d.Abs() > failSkew {
		fd.Status, fd.Why = Fail, "certificates of a new cluster look not yet valid or expired"
	}
	return []Finding{fd}
}

// noProxyNames must reach the cache without a proxy: the engine's network
// knows it by these names only.
func noProxyNames() []string {
	return []string{"localhost", "127.0.0.1", "labctl-cache", "registry.labctl"}
}

func judgeProxy(f host.Facts) Finding {
	fd := Finding{ID: IDProxy, Status: OK, Title: "proxy", Found: "none"}
	p, e := f.Proxy, f.Engine
	if !p.Set() {
		if e.Info.HTTPSProxy != "" || e.Info.HTTPProxy != "" {
			fd.Found = "none here; the engine pulls through one of its own"
		}
		return fd
	}
	addr := p.HTTPS
	if addr == "" {
		addr = p.HTTP
	}
	fd.Found, fd.Needed = addr, "NO_PROXY with "+strings.Join(noProxyNames(), ", ")
	var missing []string
	for _, n := range noProxyNames() {
		if !exempt(p.NoProxy, n) {
			missing = append(missing, n)
		}
	}
	switch {
	case p.Loopback:
		fd.Status, fd.Found = Warn, addr+" (this machine's loopback)"
		fd.Why = "inside a container loopback is the container itself; builds and pulls there find no proxy"
		fd.Fix = "let the proxy listen on an address that containers reach, and set HTTPS_PROXY to it"
	case len(missing) > 0:
		fd.Status, fd.Found = Warn, addr+", NO_PROXY lacks "+strings.Join(missing, ", ")
		fd.Why = "nodes would ask the proxy for the local image cache"
		fd.Fix = `export NO_PROXY="${NO_PROXY:+$NO_PROXY,}` + strings.Join(missing, ",") + `" no_proxy="$NO_PROXY"`
		if f.OS == "windows" {
			fd.Fix = "setx NO_PROXY \"%NO_PROXY%," + strings.Join(missing, ",") + "\""
		}
	case e.State == host.Running && e.Info.HTTPProxy == "" && e.Info.HTTPSProxy == "":
		fd.Found += "; the engine itself has none"
		fd.Why = "where the network needs the proxy, the engine can't pull; building still works"
	}
	return fd
}

// exempt says whether NO_PROXY covers a name, as Go and curl read it.
func exempt(noProxy, name string) bool {
	for e := range strings.SplitSeq(noProxy, ",") {
		e = strings.TrimPrefix(strings.TrimSpace(e), "*")
		switch {
		case e == "":
			// "*" alone ends here too: it exempts everything.
			if strings.TrimSpace(noProxy) == "*" {
				return true
			}
		case e == name, strings.HasSuffix(name, "."+strings.TrimPrefix(e, ".")):
			return true
		case name == "127.0.0.1" && strings.HasPrefix(e, "127."):
			return true
		}
	}
	return false
}

func judgeCA(f host.Facts) Finding {
	fd := Finding{ID: IDCABundle, Status: OK, Title: "CA bundle", Found: "the system's"}
	var bad []string
	for _, v := range f.CA.Vars {
		if v.Problem != "" {
			bad = append(bad, fmt.Sprintf("%s=%s: %s", v.Name, v.File, v.Problem))
		}
	}
	if len(f.CA.Vars) > 0 {
		first := f.CA.Vars[0]
		fd.Found = fmt.Sprintf("%s from %s, %d certificates", first.File, first.Name, first.Count)
	}
	if f.CA.Interceptor != "" {
		fd.Found += "; TLS is inspected by " + f.CA.Interceptor
	}
	switch files := f.CA.Files(); {
	case len(bad) > 0:
		fd.Status, fd.Found, fd.Needed = Warn, strings.Join(bad, "; "), "a readable file of PEM certificates"
		fd.Why = "every download that uses it fails with a certificate error"
		fd.Fix = "name the right file, or unset the variable"
	case len(files) > 1:
		fd.Status, fd.Found = Warn, "the variables name different files: "+strings.Join(files, ", ")
		fd.Why = "behind a proxy that inspects TLS, some tools would trust it and others not"
		fd.Fix = "let SSL_CERT_FILE, REQUESTS_CA_BUNDLE and PIP_CERT name one file"
	}
	return fd
}

func judgeOthers(f host.Facts) Finding {
	fd := Finding{ID: IDForeignLabctl, Status: OK, Title: "labctl on PATH", Found: "no other before this one"}
	if len(f.Others) == 0 {
		return fd
	}
	o := f.Others[0]
	fd.Status, fd.Needed = Warn, "this labctl first"
	if o.Ours {
		fd.Found, fd.Why = o.Path+" is another build of this project", "the shell runs that one, maybe of another version"
		fd.Fix = "remove " + o.Path + ", or put this labctl's directory first in PATH"
		return fd
	}
	fd.Found = o.Path + " is a different program of the same name"
	fd.Why = "two other tools are called labctl; the shell runs that one"
	fd.Fix = "put this labctl's directory first in PATH, or call it as kubectl plugin: ln -s \"$(realpath labctl)\" /usr/local/bin/kubectl-lab"
	return fd
}

func judgeTools(f host.Facts) []Finding {
	if !f.Tools.Asked {
		return nil
	}
	tools := Finding{ID: IDBuildTools, Status: OK, Title: "build tools", Found: "all there", Needed: "tools that build images where no registry is reachable"}
	if f.OS != "linux" {
		tools.Status, tools.Found = Fail, "images can be built from nothing on Linux only"
		tools.Why, tools.Fix = "the root file systems are made of Debian packages", "use a registry: labctl up --registry HOST, or a Linux machine"
		return []Finding{tools}
	}
	if p := f.Tools.Packages; len(p) > 0 {
		tools.Status, tools.Found = Fail, "missing: "+strings.Join(p, ", ")
		tools.Why = "no registry is reachable, so the node image is built from Debian packages and Go modules"
		tools.Fix = "sudo apt-get install -y " + strings.Join(p, " ")
		tools.Fixable = f.HasApt && f.System.Distro.Debian()
		if !tools.Fixable {
			tools.Fix = "install them with your package manager; home-built images are tested on Debian and Ubuntu"
		}
	}
	golang := Finding{ID: IDBuildGo, Status: OK, Title: "Go", Found: f.Tools.Go, Needed: "Go 1.26"}
	major, minor, ok := host.VersionParts(f.Tools.Go)
	switch {
	case f.Tools.Go == "" || !ok:
		golang.Status, golang.Found = Fail, "no Go on PATH"
	case major == 1 && minor < 21:
		golang.Status = Fail
	case major == 1 && minor < 26:
		golang.Status, golang.Why = Warn, "Go fetches the newer toolchain itself, where it may"
	}
	if golang.Status == Fail {
		golang.Why = "the binaries of the node image are built from Go modules"
		golang.Fix = "install Go 1.26 from https://go.dev/dl and put " + filepath.ToSlash("/usr/local/go/bin") + " on PATH"
	}
	return []Finding{tools, golang}
}
