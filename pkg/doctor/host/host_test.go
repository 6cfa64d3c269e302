package host

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                               "",
		"http://proxy:3128":              "http://proxy:3128",
		"http://me:se@cr@et@proxy:3128/": "http://proxy:3128/",
		"me:secret@proxy:3128":           "proxy:3128",
		"http://%zz@proxy":               "http://proxy",
	} {
		if got := redact(in); got != want {
			t.Errorf("redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"": false, "http://127.0.0.1:3128": true, "localhost:8080": true, "http://[::1]:1": true, "proxy:3128": false, "http://10.0.0.1": false} {
		if got := loopback(in); got != want {
			t.Errorf("loopback(%q) = %v", in, got)
		}
	}
}

func TestVersionParts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in           string
		major, minor int
		ok           bool
	}{
		{"20.10.24+dfsg1", 20, 10, true}, {"28.2.2", 28, 2, true}, {"go1.26.8", 1, 26, true}, {"go1.27rc1", 1, 27, true}, {"v29.0", 29, 0, true}, {"", 0, 0, false}, {"dev", 0, 0, false},
	} {
		major, minor, ok := VersionParts(tt.in)
		if major != tt.major || minor != tt.minor || ok != tt.ok {
			t.Errorf("VersionParts(%q) = %d, %d, %v", tt.in, major, minor, ok)
		}
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	word := []byte("the word")
	for _, at := range []int{0, 10, 1<<20 - 4, 1<<20 - 8, 1 << 20, 3<<20 + 5} {
		b := bytes.Repeat([]byte{'x'}, at)
		if !contains(t.Context(), bytes.NewReader(append(b, "the word and more"...)), word) {
			t.Errorf("not found at %d", at)
		}
		if contains(t.Context(), bytes.NewReader(append(b, "the wor"...)), word) {
			t.Errorf("found what is not there, after %d", at)
		}
	}
	if contains(t.Context(), iotest.ErrReader(errors.New("broken")), word) {
		t.Error("found in a broken file")
	}
}

func TestCapsMissing(t *testing.T) {
	t.Parallel()
	if got := (Caps{Known: true, Bounding: 0x1fffeffffff, Last: 40}).Missing(); !cmp.Equal(got, []int{24}) {
		t.Errorf("missing %v", got)
	}
	if got := (Caps{Bounding: 0, Last: 40}).Missing(); got != nil {
		t.Errorf("unknown must not count as missing: %v", got)
	}
}

// certificate makes a PEM certificate of that name.
func certificate(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCA(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"plain.pem": certificate(t, "Some Root") + certificate(t, "Another Root"),
		"corp.pem":  "# comment\n" + certificate(t, "Some Root") + certificate(t, "Zscaler Intermediate Root CA"),
		"empty.pem": "nothing here",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		env  map[string]string
		want CA
	}{
		{"none", nil, CA{}},
		{
			"one file, two variables",
			map[string]string{"SSL_CERT_FILE": "/plain.pem", "PIP_CERT": "/plain.pem"},
			CA{Vars: []CAVar{{Name: "SSL_CERT_FILE", File: "/plain.pem", Count: 2}, {Name: "PIP_CERT", File: "/plain.pem", Count: 2}}},
		},
		{
			"inspected",
			map[string]string{"REQUESTS_CA_BUNDLE": "/corp.pem"},
			CA{Vars: []CAVar{{Name: "REQUESTS_CA_BUNDLE", File: "/corp.pem", Count: 2}}, Interceptor: "Zscaler Intermediate Root CA"},
		},
		{
			"useless",
			map[string]string{"SSL_CERT_FILE": "/empty.pem", "CURL_CA_BUNDLE": "/gone.pem"},
			CA{Vars: []CAVar{{Name: "SSL_CERT_FILE", File: "/empty.pem", Problem: "no certificate in it"}, {Name: "CURL_CA_BUNDLE", File: "/gone.pem", Problem: "no such file or directory"}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := Machine{Root: root, LookupEnv: func(k string) (string, bool) { v, ok := tt.env[k]; return v, ok }}
			if diff := cmp.Diff(tt.want, m.ca()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The real machine names its own process as the holder of a port.
func TestListener(t *testing.T) {
	t.Parallel()
	m := Local()
	if m.OS != "linux" {
		t.Skip("reads /proc")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no TCP address")
	}
	ports := m.holders(t.Context(), Engine{}, m.ports(t.Context(), []int{addr.Port}))
	if want := fmt.Sprintf("(pid %d)", os.Getpid()); len(ports) != 1 || !ports[0].Busy || !strings.HasSuffix(ports[0].Holder, want) {
		t.Errorf("%+v, want a holder %s", ports, want)
	}
}

// A probe that hangs ends in its fallback.
func TestAsync(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	slow := async(t.Context(), time.Millisecond, "fallback", func(context.Context) string { <-release; return "late" })
	fast := async(t.Context(), time.Minute, "fallback", func(context.Context) string { return "answer" })
	if a, b := slow(), fast(); a != "fallback" || b != "answer" {
		t.Errorf("slow %q, fast %q", a, b)
	}
}

// On any machine all facts come quickly and nothing panics.
func TestGatherLocal(t *testing.T) {
	t.Parallel()
	f := Gather(t.Context(), Local(), Ask{Ports: []int{1}, BuildTools: true}, Timeouts{})
	if f.OS == "" || f.CPUs == 0 || f.Engine.State == "" {
		t.Errorf("%+v", f)
	}
}
