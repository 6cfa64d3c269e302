// Package known recognises frequent errors of container engines and of
// cluster creation by their text, and knows what to do about them. Engines
// have no error codes on their command line, so text is all there is; the
// table is kept in this one place.
//
// It is not for errors of our own: those carry their hint from where they arise.
package known

import (
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
)

// entry is one known error: all words must occur, in any case.
type entry struct {
	id    string
	words []string
	hint  string
}

// Explain gives the stable id and the advice for an error text or the output
// of a failed command. Both are empty for a text that is not known. Where
// several fit, the most particular wins: the table is in that order.
func Explain(text string) (id, hint string) {
	low := strings.ToLower(text)
	for _, e := range table() {
		if hasAll(low, e.words) {
			return e.id, e.hint
		}
	}
	return "", ""
}

// IDs gives every id that Explain can answer.
func IDs() []string {
	var out []string
	for _, e := range table() {
		if !slices.Contains(out, e.id) {
			out = append(out, e.id)
		}
	}
	return out
}

// Advice gives what may help against the known error of that id, and nothing
// for an id that is not known.
func Advice(id string) []string {
	var out []string
	for _, e := range table() {
		if e.id == id && !slices.Contains(out, e.hint) {
			out = append(out, e.hint)
		}
	}
	return out
}

// Annotate gives err the operation, the id and the advice of the known error in
// its text. A hint that err already carries is kept; nil stays nil.
func Annotate(err error, op string) error {
	if err == nil {
		return nil
	}
	d := clierr.Describe(err)
	id, hint := Explain(d.Error + "\n" + d.Detail)
	if d.Hint != "" {
		hint = d.Hint
	}
	if d.ID != "" {
		id = d.ID
	}
	code := 0
	switch {
	case d.Code != clierr.CodeFailed:
		code = d.Code
	case strings.HasPrefix(id, "engine-"):
		// Without its engine the machine is not fit, whatever was being done.
		code = clierr.CodeUnfit
	}
	return &clierr.Error{Op: op, Err: err, Hint: hint, ID: id, Detail: d.Detail, Code: code}
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// table is ordered: a text may hold several of these, the first one is the cause.
func table() []entry {
	return []entry{
		{"engine-permission", []string{"permission denied", "docker daemon socket"}, "add yourself to the group docker (labctl doctor tells how), or use sudo"},
		{"engine-permission", []string{"permission denied", "docker.sock"}, "add yourself to the group docker (labctl doctor tells how), or use sudo"},
		{"engine-permission", []string{"permission denied", "docker api"}, "add yourself to the group docker (labctl doctor tells how), or use sudo"},
		{"engine-config", []string{"unable to configure the docker daemon with file"}, "repair /etc/docker/daemon.json: it and the command line contradict, or it is no JSON"},
		{"engine-pidfile", []string{"pid file found, ensure docker is not running"}, "a pid file of an engine that died is left: labctl doctor --fix"},
		{"engine-pidfile", []string{"process with pid", "is still running", "docker"}, "a pid file of an engine that died is left: labctl doctor --fix"},
		{"engine-cgroup", []string{"devices cgroup isn't mounted"}, "mount the cgroup file systems: install cgroupfs-mount and run it, or boot with systemd"},
		{"engine-iptables", []string{"iptables", "failed to", "nat"}, "the kernel lacks what iptables asks for: update-alternatives --set iptables /usr/sbin/iptables-legacy, then start the engine"},
		{"engine-down", []string{"cannot connect to the docker daemon"}, "start the engine: labctl doctor tells how"},
		{"engine-down", []string{"error during connect"}, "start the engine: labctl doctor tells how"},
		{"engine-down", []string{"failed to connect to the docker api"}, "start the engine: labctl doctor tells how"},
		{"engine-down", []string{"docker.sock: connect: connection refused"}, "the engine died: labctl doctor --fix starts it"},
		{"engine-missing", []string{"docker", "executable file not found"}, "install Docker: labctl doctor tells how"},
		{"capabilities", []string{"unable to apply caps"}, "this machine lacks a capability that privileged containers ask for: labctl doctor tells what to do"},
		{"capabilities", []string{"error setting rlimit", "operation not permitted"}, "this machine may not raise limits: take \"default-ulimits\" out of /etc/docker/daemon.json"},
		{"inotify-watches", []string{"no space left on device", "inotify"}, "inotify watches are used up, not the disk: labctl doctor --fix raises the limit"},
		{"disk", []string{"no space left on device"}, "the engine's disk is full: labctl images prune, then docker system prune"},
		{"disk", []string{"disk quota exceeded"}, "the engine's disk is full: labctl images prune, then docker system prune"},
		{"inotify-instances", []string{"failed to create fsnotify watcher"}, "the inotify limits are too low: labctl doctor --fix"},
		{"inotify-instances", []string{"inotify_init"}, "the inotify limits are too low: labctl doctor --fix"},
		{"inotify-instances", []string{"too many open files"}, "raise the inotify and open-file limits: labctl doctor names them, --fix raises inotify"},
		{"ports", []string{"port is already allocated"}, "another container publishes this port: docker ps shows it"},
		{"ports", []string{"address already in use"}, "another program has this port: end it, or choose another port"},
		{"ports", []string{"ports are not available"}, "the port is taken or reserved by the system: choose another port"},
		{"address-pools", []string{"address pools"}, "the engine has no address range left for a network: docker network prune"},
		{"address-pools", []string{"non-overlapping ipv4"}, "the engine has no address range left for a network: docker network prune; a VPN may take ranges too"},
		{"pull-limit", []string{"toomanyrequests"}, "the registry's pull limit is used up: docker login, wait some hours, or use --registry"},
		{"pull-limit", []string{"pull rate limit"}, "the registry's pull limit is used up: docker login, wait some hours, or use --registry"},
		{"ca-bundle", []string{"x509", "unknown authority"}, "a proxy may inspect TLS: let SSL_CERT_FILE name its CA bundle; for pulls the engine must trust it as well"},
		{"ca-bundle", []string{"certificate verify failed"}, "a proxy may inspect TLS: let SSL_CERT_FILE, REQUESTS_CA_BUNDLE and PIP_CERT name its CA bundle"},
		{"ca-bundle", []string{"self-signed certificate in certificate chain"}, "a proxy inspects TLS: let SSL_CERT_FILE, REQUESTS_CA_BUNDLE and PIP_CERT name its CA bundle"},
		{"time-skew", []string{"certificate has expired or is not yet valid"}, "compare the clocks of host and engine: labctl doctor shows their difference"},
		{"proxy", []string{"proxyconnect tcp"}, "the proxy can't be reached: look at HTTP_PROXY, HTTPS_PROXY and NO_PROXY (labctl doctor)"},
		{"proxy", []string{"proxy authentication required"}, "the proxy wants user and password: set them in HTTPS_PROXY"},
		{"image-arch", []string{"no matching manifest"}, "there is no such image for this architecture: labctl doctor shows the engine's"},
		{"image-arch", []string{"exec format error"}, "the image is for another architecture: labctl images prune, then try again"},
		{"image-denied", []string{"pull access denied"}, "the image does not exist there, or the registry wants docker login"},
		{"image-denied", []string{"manifest unknown"}, "the registry does not have this image: labctl images build"},
		{"network", []string{"no such host"}, "a name can't be resolved: look at the network, DNS and proxy (labctl doctor)"},
		{"network", []string{"temporary failure in name resolution"}, "a name can't be resolved: look at the network, DNS and proxy (labctl doctor)"},
		{"network", []string{"network is unreachable"}, "there is no way to the network: look at the network and the proxy (labctl doctor)"},
		{"network", []string{"tls handshake timeout"}, "the network is too slow or a proxy is in the way: try again"},
		{"memory", []string{"cannot allocate memory"}, "the machine has no memory left: labctl doctor shows what the engine has"},
		{"memory", []string{"signal: killed"}, "the process was killed, most likely for want of memory: labctl doctor shows what there is"},
		{"node-log", []string{"could not find a log line that matches"}, "the node did not boot: often inotify limits or cgroups; labctl doctor shows both"},
		{"cgroup-version", []string{"cgroup v1 support is"}, "this Kubernetes refuses cgroup v1: labctl doctor tells how to boot with v2"},
	}
}
