package buildlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/execx"
)

func open(t *testing.T, onLine func(string)) *Log {
	t.Helper()
	l, err := Open(filepath.Join(t.TempDir(), "image-x.log"), onLine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func write(t *testing.T, l *Log, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if _, err := io.WriteString(l, p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	var lines []string
	l := open(t, func(line string) { lines = append(lines, line) })
	l.Begin("fetch")
	write(t, l, "o", "ne  \r\n\n10%\r20%\rtw", "o\nhalf")
	if diff := cmp.Diff([]string{"one", "10%", "20%", "two"}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if want := "one\n10%\n20%\ntwo\nhalf"; l.Tail() != want {
		t.Errorf("tail %q, want %q", l.Tail(), want)
	}
	l.Begin("compile")
	l.Note("found")
	if l.Tail() != "found" {
		t.Errorf("the tail of a new step has %q", l.Tail())
	}
	raw, err := os.ReadFile(l.Path())
	if err != nil {
		t.Fatal(err)
	}
	if want := "== fetch\none  \r\n\n10%\r20%\rtwo\nhalf== compile\nfound\n"; string(raw) != want {
		t.Errorf("file %q, want %q", raw, want)
	}
}

func TestTailIsShort(t *testing.T) {
	t.Parallel()
	l := open(t, func(string) {})
	for i := range 2 * tailLines {
		l.Note(fmt.Sprint(i))
	}
	write(t, l, "half")
	tail := strings.Split(l.Tail(), "\n")
	if len(tail) != tailLines+1 || tail[0] != fmt.Sprint(tailLines) || tail[tailLines] != "half" {
		t.Errorf("tail %q", tail)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	if _, err := Open(filepath.Join(t.TempDir(), "no", "such.log"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	exit := &execx.ExitError{Command: "docker build .", Code: 2, Stderr: "the last line"}
	tests := map[string]struct {
		output string
		err    error
		want   clierr.Report
	}{
		"a command": {
			output: "the last line\n", err: fmt.Errorf("build: %w", exit),
			want: clierr.Report{ID: "image-build", Error: "build x: docker ended with exit status 2", Hint: "the whole output is in LOG", Detail: "the last line", Code: 1},
		},
		"advice of the cause": {
			err:  clierr.Unfit("node-tools", "install gcc", "no gcc"),
			want: clierr.Report{ID: "node-tools", Error: "build x: no gcc", Hint: "install gcc; the whole output is in LOG", Code: clierr.CodeUnfit},
		},
		"a full disk": {
			output: "write /x: no space left on device\n", err: exit,
			want: clierr.Report{
				ID: "image-build", Error: "build x: no space left on device: docker ended with exit status 2", Code: 1,
				Hint:   "free disk space (`labctl images prune`, `docker system df` shows where it went); the whole output is in LOG",
				Detail: "write /x: no space left on device",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t, func(string) {})
			write(t, l, tt.output)
			got := clierr.Describe(l.Explain("build x", tt.err))
			got.Hint = strings.ReplaceAll(got.Hint, l.Path(), "LOG")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGoError(t *testing.T) {
	t.Parallel()
	failed := errors.New("exit status 1")
	tests := map[string]struct {
		output string
		err    error
		hint   string
	}{
		"no Go":   {err: fmt.Errorf("run go: %w", exec.ErrNotFound), hint: "install Go, see https://go.dev/doc/install"},
		"old Go":  {output: "go: go.mod requires go >= 1.30\n", err: failed, hint: "install a newer Go, see https://go.dev/doc/install"},
		"a proxy": {output: "tls: x509: unknown authority\n", err: failed, hint: "if a proxy opens TLS here, set SSL_CERT_FILE to a bundle with its certificate"},
		"code":    {output: "x.go:1: undefined: y\n", err: failed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t, func(string) {})
			write(t, l, tt.output)
			err := l.GoError(tt.err)
			if !errors.Is(err, tt.err) || clierr.Describe(err).Hint != tt.hint {
				t.Errorf("error %v, hint %q", err, clierr.Describe(err).Hint)
			}
		})
	}
}
