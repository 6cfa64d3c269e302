package fix_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor/fix"
	"labctl.dev/labctl/pkg/doctor/host"
)

const (
	sysResource = 24
	sysBoot     = 22
)

// fixer works below a temporary directory that holds the given files.
func fixer(t *testing.T, files map[string]string) *fix.Fixer {
	t.Helper()
	m := host.Local()
	m.OS, m.Root = "linux", t.TempDir()
	m.Now = func() time.Time { return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC) }
	x := fix.Local(m, filepath.Join(m.Root, "state"))
	for name, text := range files {
		write(t, m.Path(name), text)
	}
	return x
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRuntimeMerges(t *testing.T) {
	t.Parallel()
	const ours = `"labctl-bounded": {"path": "/usr/local/lib/labctl/runc-bounded"}`
	const backup = "/etc/docker/daemon.json.labctl-20260301T100000Z"
	for _, tt := range []struct {
		name, old, want string
		absent          bool
		changed         bool
	}{
		{name: "no file", absent: true, changed: true, want: `{"default-runtime": "labctl-bounded", "runtimes": {` + ours + `}}`},
		{name: "empty file", old: " \n", changed: true, want: `{"default-runtime": "labctl-bounded", "runtimes": {` + ours + `}}`},
		{
			name: "foreign settings stay", changed: true,
			old:  `{"log-opts": {"max-size": "10m"}, "max-concurrent-downloads": 12345678901234567890, "runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}}}`,
			want: `{"log-opts": {"max-size": "10m"}, "max-concurrent-downloads": 12345678901234567890, "default-runtime": "labctl-bounded", "runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}, ` + ours + `}}`,
		},
		{name: "stock default", changed: true, old: `{"default-runtime": "runc"}`, want: `{"default-runtime": "labctl-bounded", "runtimes": {` + ours + `}}`},
		{name: "an old path", changed: true, old: `{"default-runtime": "labctl-bounded", "runtimes": {"labctl-bounded": {"path": "/old"}}}`, want: `{"default-runtime": "labctl-bounded", "runtimes": {` + ours + `}}`},
		{name: "already there", old: `{"default-runtime":"labctl-bounded","runtimes":{` + ours + `}}`, want: `{"default-runtime":"labctl-bounded","runtimes":{` + ours + `}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			if !tt.absent {
				files[host.DaemonJSON] = tt.old
			}
			x := fixer(t, files)
			wrote, err := x.Runtime([]int{sysResource})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"/usr/local/lib/labctl/runc-bounded"}
			if tt.changed && !tt.absent {
				want = append(want, backup)
				if got := read(t, x.Machine.Path(backup)); got != tt.old {
					t.Errorf("backup holds %q", got)
				}
			}
			if tt.changed {
				want = append(want, host.DaemonJSON)
			}
			if diff := cmp.Diff(want, wrote); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			got := read(t, x.Machine.Path(host.DaemonJSON))
			if diff := cmp.Diff(numbers(t, tt.want), numbers(t, got)); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if !tt.changed && got != tt.old {
				t.Errorf("an unchanged file was written anew:\n%s", got)
			}
			again, err := x.Runtime([]int{sysResource})
			if err != nil || len(again) != 0 {
				t.Errorf("second run wrote %v (%v)", again, err)
			}
			if left, _ := filepath.Glob(x.Machine.Path("/etc/docker/.*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// numbers decodes JSON and keeps numbers as they are written.
func numbers(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestRuntimeRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, old, id string }{
		{"broken", `{"debug": true,}`, "engine-config"},
		{"two documents", `{} {}`, "engine-config"},
		{"no object", `[]`, "engine-config"},
		{"null", `null`, "engine-config"},
		{"runtimes of another kind", `{"runtimes": []}`, "engine-config"},
		{"default runtime of another kind", `{"default-runtime": 1}`, "engine-config"},
		{"a foreign default runtime", `{"default-runtime": "nvidia"}`, "capabilities"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := fixer(t, map[string]string{host.DaemonJSON: tt.old})
			wrote, err := x.Runtime([]int{sysResource})
			if err == nil {
				t.Fatalf("wrote %v", wrote)
			}
			if d := clierr.Describe(err); d.ID != tt.id || d.Hint == "" || !strings.Contains(d.Error, host.DaemonJSON) {
				t.Errorf("%+v", d)
			}
			if got := read(t, x.Machine.Path(host.DaemonJSON)); got != tt.old {
				t.Errorf("the file was changed to %q", got)
			}
			if x.Machine.Exists(x.Paths.RuntimeScript) {
				t.Error("the runtime was installed all the same")
			}
		})
	}
}

const bundle = `{"process":{"args":["capsh","CAP_SYS_RESOURCE"],"env":["X=\"capabilities\":{\"CAP_SYS_RESOURCE\",}","Y=a\nb"],` +
	`"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE","CAP_KILL","CAP_SYS_BOOT"],` +
	`"inheritable":["CAP_SYS_RESOURCE"],"permitted":["CAP_CHOWN","CAP_SYS_BOOT","CAP_SYS_RESOURCE","CAP_KILL"],"ambient":["CAP_SYS_BOOT","CAP_SYS_RESOURCE"]}},` +
	`"annotations":{"caps":"CAP_SYS_RESOURCE"}}`

const bounded = `{"process":{"args":["capsh","CAP_SYS_RESOURCE"],"env":["X=\"capabilities\":{\"CAP_SYS_RESOURCE\",}","Y=a\nb"],` +
	`"capabilities":{"bounding":["CAP_CHOWN"],"effective":["CAP_KILL"],"inheritable":[],"permitted":["CAP_CHOWN","CAP_KILL"],"ambient":[]}},` +
	`"annotations":{"caps":"CAP_SYS_RESOURCE"}}`

// TestRuntimeScript runs the installed script with a runc that prints its arguments.
func TestRuntimeScript(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sed"); err != nil {
		t.Skip("needs sed")
	}
	x := fixer(t, nil)
	if _, err := x.Runtime([]int{sysBoot, sysResource}); err != nil {
		t.Fatal(err)
	}
	script := x.Machine.Path(x.Paths.RuntimeScript)
	bin := t.TempDir()
	write(t, bin+"/runc", "#!/bin/sh\nprintf '%s|' \"$@\"\nexit 7\n")
	if err := os.Chmod(bin+"/runc", 0o755); err != nil {
		t.Fatal(err)
	}
	pretty := func(text string) string {
		b, err := json.MarshalIndent(numbers(t, text), "", "    ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	for _, tt := range []struct {
		name string
		file string
		args []string
		in   string
		want string
	}{
		{"create", "config.json", []string{"--root", "/r", "--log", "/l", "create", "--bundle", "DIR", "--pid-file", "p", "id"}, bundle, bounded},
		{"create with =", "config.json", []string{"create", "--bundle=DIR", "id"}, bundle, bounded},
		{"run with -b", "config.json", []string{"run", "-b", "DIR", "id"}, bundle, bounded},
		{"pretty", "config.json", []string{"create", "--bundle", "DIR", "id"}, pretty(bundle), bounded},
		{"exec", "p.json", []string{"exec", "--process", "DIR/p.json", "--detach", "id"}, bundle, bounded},
		{"exec with =", "p.json", []string{"exec", "--process=DIR/p.json", "id"}, bundle, bounded},
		{"nothing to do", "config.json", []string{"create", "--bundle", "DIR", "id"}, `{"process":{}}`, `{"process":{}}`},
		{"other verbs", "config.json", []string{"delete", "--bundle", "DIR", "id"}, bundle, bundle},
		{"no file", "else.json", []string{"create", "--bundle", "DIR", "a b"}, bundle, bundle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "with space")
			write(t, filepath.Join(dir, tt.file), tt.in)
			args := make([]string, len(tt.args))
			for i, a := range tt.args {
				args[i] = strings.ReplaceAll(a, "DIR", dir)
			}
			cmd := exec.CommandContext(t.Context(), script, args...)
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 7 {
				t.Errorf("the exit code of runc must be kept: %v", err)
			}
			if want := strings.Join(args, "|") + "|"; string(out) != want {
				t.Errorf("runc got %q, want %q", out, want)
			}
			if diff := cmp.Diff(numbers(t, tt.want), numbers(t, read(t, filepath.Join(dir, tt.file)))); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
