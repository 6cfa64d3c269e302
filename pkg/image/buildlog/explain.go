package buildlog

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/execx"
)

// Explain makes the error of a build that failed: what was being done, the last
// lines of it, and where the rest is. Advice that err carries comes first.
func (l *Log) Explain(op string, err error) error {
	out := &clierr.Error{Op: op, Err: err, Detail: l.Tail(), ID: "image-build", Hint: "the whole output is in " + l.path}
	var inner *clierr.Error
	if errors.As(err, &inner) {
		out.Code = inner.Code
		if inner.ID != "" {
			out.ID = inner.ID
		}
		if inner.Hint != "" {
			out.Hint = inner.Hint + "; " + out.Hint
		}
	}
	var exit *execx.ExitError
	if errors.As(err, &exit) {
		// Its text repeats the last lines, which are shown as the detail.
		name, _, _ := strings.Cut(exit.Command, " ")
		out.Err = fmt.Errorf("%s ended with exit status %d", name, exit.Code)
	}
	if strings.Contains(out.Detail, "no space left on device") {
		out.Err = fmt.Errorf("no space left on device: %w", out.Err)
		out.Hint = "free disk space (`labctl images prune`, `docker system df` shows where it went); " + out.Hint
	}
	return out
}

// GoError adds advice for what the go command of this machine fails of.
func (l *Log) GoError(err error) error {
	tail := l.Tail()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return clierr.New("install Go, see https://go.dev/doc/install", "no public image can be pulled, and Go is not installed to build without: %w", err)
	case strings.Contains(tail, "go.mod requires go >="):
		return clierr.Wrap(err, "", "install a newer Go, see https://go.dev/doc/install")
	case strings.Contains(tail, "x509:"):
		return clierr.Wrap(err, "", "if a proxy opens TLS here, set SSL_CERT_FILE to a bundle with its certificate")
	}
	return err
}
