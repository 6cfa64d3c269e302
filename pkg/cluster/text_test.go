package cluster

import (
	"bufio"
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kind/pkg/exec"

	"labctl.dev/labctl/pkg/clierr"
)

func TestLogger(t *testing.T) {
	t.Parallel()
	var progress []string
	var records bytes.Buffer
	l := logger{log: slog.New(slog.NewTextHandler(&records, nil)), progress: func(s string) { progress = append(progress, s) }}
	l.V(0).Infof(" • %s  ...\n", "Starting control-plane 🕹️")
	l.V(0).Infof(" ✓ %s\n", "Starting control-plane 🕹️")
	l.V(0).Info(" • Installing StorageClass 💾  ...\n")
	l.V(0).Info(" • 100%s of 100%d ...")
	l.V(0).Info("Creating cluster \"x\" ...\n")
	l.V(1).Info(" • a debug message")
	if diff := cmp.Diff([]string{"starting control-plane", "installing StorageClass", "100%s of 100%d"}, progress); diff != "" {
		t.Error(diff)
	}
	l.Warn("WARNING: Overriding docker network due to " + NetworkEnv)
	l.Warn("WARNING: Here be dragons! This is not supported currently.")
	if records.Len() != 0 {
		t.Errorf("not muted: %s", records.String())
	}
	l.Warnf("the disk is %d%% full", 99)
	if !strings.Contains(records.String(), "the disk is 99% full") {
		t.Errorf("lost: %s", records.String())
	}
	if !l.V(0).Enabled() || l.V(1).Enabled() {
		t.Error("levels")
	}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	for output, id := range map[string]string{
		"Cannot connect to the Docker daemon at unix:///x. Is it running?":                  "engine-down",
		"Got permission denied while trying to connect to the Docker daemon socket":         "engine-permission",
		"write /var/lib/x: no space left on device":                                         "disk-full",
		"Bind for 127.0.0.1:1 failed: port is already allocated":                            "port-taken",
		"could not find an available, non-overlapping IPv4 address pool among the defaults": "network-pool",
		"failed to create fsnotify watcher: too many open files":                            "inotify",
		"something new": "cluster-create",
	} {
		err := translate("lab", "/logs", &exec.RunError{Command: []string{"docker", "run"}, Output: []byte(output), Inner: errors.New("exit status 1")})
		d := clierr.Describe(err)
		if d.ID != id || d.Hint == "" || !strings.Contains(d.Detail, output) || !strings.Contains(d.Hint, "/logs") {
			t.Errorf("%q: %+v", output, d)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	if got := tail("a\r\n\n b \nc", 2); got != " b\nc" {
		t.Errorf("got %q", got)
	}
	if got := tail("", 2); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestPullProgress(t *testing.T) {
	t.Parallel()
	out := "\x1b[2Kdocker.io/library/x:1\tfetching \r\x1b[1Aelapsed: 2.5 s \ttotal:  120.1 M\t(48.0 MiB/s)\t\nelapsed: 3.0 s\ttotal:  130 M\t(43 MiB/s)"
	s := bufio.NewScanner(strings.NewReader(out))
	s.Split(scanProgress)
	var got []string
	for s.Scan() {
		if p := pullProgress(s.Text()); p != "" {
			got = append(got, p)
		}
	}
	if diff := cmp.Diff([]string{"120.1 M (48.0 MiB/s)", "130 M (43 MiB/s)"}, got); diff != "" {
		t.Error(diff)
	}
}
