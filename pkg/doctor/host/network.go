package host

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"os"
	"sort"
	"strings"
)

// Port is one TCP port on 127.0.0.1.
type Port struct {
	Number int
	Busy   bool
	// Ours is true when a container of labctl holds it.
	Ours bool
	// Holder names the process or container that has it; it may be empty.
	Holder string
	// Denied is true when this user may not open it, whoever holds it.
	Denied bool
}

func (m Machine) ports(ctx context.Context, numbers []int) []Port {
	var out []Port
	for _, n := range numbers {
		err := m.TryPort(ctx, n)
		out = append(out, Port{Number: n, Busy: err != nil, Denied: errors.Is(err, os.ErrPermission)})
	}
	return out
}

// holders names who has the busy ports. A published port is held by a proxy of
// the engine, so containers are asked first.
func (m Machine) holders(ctx context.Context, e Engine, ports []Port) []Port {
	for i, p := range ports {
		if !p.Busy || p.Denied {
			continue
		}
		if e.State == Running {
			out, err := m.docker(ctx, "ps", "--filter", "publish="+itoa(p.Number), "--format", `{{.Names}} {{.Label "dev.labctl.owner"}}`)
			if f := strings.Fields(string(out)); err == nil && len(f) > 0 {
				ports[i].Holder = "container " + f[0]
				ports[i].Ours = f[0] == "labctl-control-plane" || len(f) > 1 && f[1] == "labctl"
				continue
			}
		}
		ports[i].Holder = m.listener(p.Number)
	}
	return ports
}

// Proxy is what the environment and the engine say about HTTP proxies.
type Proxy struct {
	// HTTP and HTTPS are proxy addresses without user and password.
	HTTP, HTTPS string
	// Loopback is true when a proxy listens on this machine's loopback, which
	// a container can't reach.
	Loopback bool
	NoProxy  string
}

// Set says whether any proxy is used.
func (p Proxy) Set() bool { return p.HTTP != "" || p.HTTPS != "" }

func (m Machine) proxy() Proxy {
	either := func(key string) string {
		if v := m.env(strings.ToUpper(key)); v != "" {
			return v
		}
		return m.env(key)
	}
	p := Proxy{HTTP: redact(either("http_proxy")), HTTPS: redact(either("https_proxy")), NoProxy: either("no_proxy")}
	p.Loopback = loopback(p.HTTP) || loopback(p.HTTPS)
	return p
}

// redact takes user and password out of a proxy address: the report is pasted.
func redact(raw string) string {
	if at := strings.LastIndex(raw, "@"); at >= 0 {
		if i := strings.Index(raw, "://"); i >= 0 && i < at {
			return raw[:i+3] + raw[at+1:]
		}
		return raw[at+1:]
	}
	return raw
}

func loopback(raw string) bool {
	if raw == "" {
		return false
	}
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// CAVar is an environment variable that names a file of certificates.
type CAVar struct {
	Name, File string
	// Problem says why the file can't be used; empty when it can.
	Problem string
	Count   int
}

// CA is what the environment says about certificate authorities.
type CA struct {
	Vars []CAVar
	// Interceptor names a TLS-inspecting product whose authority is trusted.
	Interceptor string
}

// caVars are the variables that tools read; the first are those that matter most to builds.
func caVars() []string {
	return []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"}
}

// interceptors are words in the names of authorities that companies use to inspect TLS.
func interceptors() []string {
	return []string{
		"Zscaler", "Netskope", "Palo Alto", "Blue Coat", "Fortinet", "FortiGate", "Forcepoint", "Cisco Umbrella", "Sophos", "Check Point",
		"McAfee Web Gateway", "Cloudflare for Teams", "Gateway CA - Cloudflare", "mitmproxy", "Charles Proxy", "Egress", "TLS Inspection", "SSL Inspection",
	}
}

func (m Machine) ca() CA {
	var out CA
	seen := map[string]CAVar{}
	for _, name := range caVars() {
		file := m.env(name)
		if file == "" {
			continue
		}
		v, ok := seen[file]
		if !ok {
			v = m.bundle(file, &out)
			seen[file] = v
		}
		v.Name, v.File = name, file
		out.Vars = append(out.Vars, v)
	}
	return out
}

func (m Machine) bundle(file string, ca *CA) CAVar {
	b, err := m.ReadFile(file)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return CAVar{Problem: err.Error()}
	}
	var v CAVar
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		v.Count++
		if ca.Interceptor == "" {
			ca.Interceptor = interceptor(block.Bytes)
		}
	}
	if v.Count == 0 {
		v.Problem = "no certificate in it"
	}
	return v
}

// interceptor looks for a known product in one certificate. Parsing costs far
// more than looking at the bytes, in which names stand as plain text.
func interceptor(der []byte) string {
	for _, word := range interceptors() {
		if !bytes.Contains(der, []byte(word)) {
			continue
		}
		if c, err := x509.ParseCertificate(der); err == nil && strings.Contains(c.Subject.String(), word) {
			if c.Subject.CommonName != "" {
				return c.Subject.CommonName
			}
			return word
		}
	}
	return ""
}

// Files gives each distinct file that the variables name, sorted.
func (c CA) Files() []string {
	var out []string
	seen := map[string]bool{}
	for _, v := range c.Vars {
		if !seen[v.File] {
			seen[v.File] = true
			out = append(out, v.File)
		}
	}
	sort.Strings(out)
	return out
}
