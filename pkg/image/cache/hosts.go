package cache

import "fmt"

// HostsPath is where containerd on a node looks for the mirror of Host.
const HostsPath = "/etc/containerd/certs.d/" + Host + "/hosts.toml"

// HostsTOML gives the content of HostsPath for a cache that the node reaches as
// addr (host:port). Host is a name that exists nowhere, so the cache is named as
// the server too: a node must never look for it elsewhere.
func HostsTOML(addr string) []byte {
	return fmt.Appendf(nil, `server = "http://%[1]s"

[host."http://%[1]s"]
  capabilities = ["pull", "resolve"]
`, addr)
}
