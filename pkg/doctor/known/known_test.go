package known_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor/known"
	"labctl.dev/labctl/pkg/internal/execx"
)

// The texts are as the programs print them.
func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, id string }{
		{"Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", "engine-down"},
		{"failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct", "engine-down"},
		{"error during connect: this error may indicate that the docker daemon is not running", "engine-down"},
		{"permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock", "engine-permission"},
		{"permission denied while trying to connect to the docker API at unix:///var/run/docker.sock", "engine-permission"},
		{"failed to start daemon: pid file found, ensure docker is not running or delete /var/run/docker.pid", "engine-pidfile"},
		{"failed to start daemon, ensure docker is not running or delete /var/run/docker.pid: process with PID 24 is still running", "engine-pidfile"},
		{"failed to start daemon: Devices cgroup isn't mounted", "engine-cgroup"},
		{"failed to create NAT chain DOCKER: iptables failed: iptables -t nat -N DOCKER", "engine-iptables"},
		{"unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character", "engine-config"},
		{"OCI runtime create failed: runc create failed: unable to start container process: unable to apply caps: operation not permitted", "capabilities"},
		{"write /var/lib/docker/tmp/x: no space left on device", "disk"},
		{"failed to add watch: inotify_add_watch /etc: no space left on device", "inotify-watches"},
		{"Bind for 127.0.0.1:5001 failed: port is already allocated", "ports"},
		{"listen tcp4 127.0.0.1:5001: bind: address already in use", "ports"},
		{"failed to create fsnotify watcher: too many open files", "inotify-instances"},
		{"could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network", "address-pools"},
		{"all predefined address pools have been fully subnetted", "address-pools"},
		{"toomanyrequests: You have reached your pull rate limit.", "pull-limit"},
		{"x509: certificate signed by unknown authority", "ca-bundle"},
		{"x509: certificate has expired or is not yet valid: current time is before", "time-skew"},
		{"proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused", "proxy"},
		{"no matching manifest for linux/arm64/v8 in the manifest list entries", "image-arch"},
		{"pull access denied for labctl.local/x, repository does not exist or may require 'docker login'", "image-denied"},
		{"dial tcp: lookup registry-1.docker.io: no such host", "network"},
		{`could not find a log line that matches "Reached target .*Multi-User System.*|detected cgroup v1"`, "node-log"},
		{"everything is fine", ""},
		{"", ""},
	} {
		id, hint := known.Explain(tt.text)
		if id != tt.id {
			t.Errorf("Explain(%q) = %q, want %q", tt.text, id, tt.id)
		}
		if (id == "") != (hint == "") {
			t.Errorf("Explain(%q): id %q with hint %q", tt.text, id, hint)
		}
	}
}

func TestAnnotate(t *testing.T) {
	t.Parallel()
	if known.Annotate(nil, "x") != nil {
		t.Error("nil must stay nil")
	}
	exit := &execx.ExitError{Command: "docker run x", Code: 125, Stderr: "Bind for 127.0.0.1:5001 failed: port is already allocated."}
	err := known.Annotate(exit, "start the image cache")
	d := clierr.Describe(err)
	if d.ID != "ports" || d.Hint == "" || d.Code != clierr.CodeFailed || !strings.HasPrefix(d.Error, "start the image cache: ") {
		t.Errorf("%+v", d)
	}
	var got *execx.ExitError
	if !errors.As(err, &got) {
		t.Error("the cause is lost")
	}
	own := clierr.Unfit("mine", "my hint", "no space left on device")
	if d := clierr.Describe(known.Annotate(own, "op")); d.ID != "mine" || d.Hint != "my hint" || d.Code != clierr.CodeUnfit {
		t.Errorf("an own hint must win: %+v", d)
	}
}

func TestEveryIDIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range known.IDs() {
		if !strings.Contains(string(doc), "### "+id+"\n") && !strings.Contains(string(doc), "| `"+id+"` |") {
			t.Errorf("docs/doctor.md does not explain %s", id)
		}
	}
}
