// Package docker drives a Docker-compatible engine through its command line,
// as kind does, so that contexts, DOCKER_HOST and credential helpers of the
// user count. It knows nothing about labs, images of ours or clusters.
package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"labctl.dev/labctl/pkg/internal/execx"
)

// OwnerLabel marks every container, volume and network that labctl makes.
const (
	OwnerLabel = "dev.labctl.owner"
	OwnerValue = "labctl"
)

// ErrNotFound is returned for an object that the engine does not have.
var ErrNotFound = errors.New("no such object")

// CLI calls the engine's command line. The zero value is not usable; see New.
type CLI struct {
	run execx.Runner
	bin string
}

// New makes a CLI that runs the docker found on PATH.
func New(run execx.Runner) *CLI { return &CLI{run: run, bin: "docker"} }

// Run runs `docker args...` and gives its stdout.
func (c *CLI) Run(ctx context.Context, args ...string) (string, error) {
	out, err := execx.Output(ctx, c.run, execx.Cmd{Name: c.bin, Args: args})
	return strings.TrimSpace(string(out)), translate(err)
}

// Stream runs `docker args...` with the given streams, any of which may be nil.
func (c *CLI) Stream(ctx context.Context, in io.Reader, out, errOut io.Writer, env []string, args ...string) error {
	return translate(c.run.Run(ctx, execx.Cmd{Name: c.bin, Args: args, Env: env, Stdin: in, Stdout: out, Stderr: errOut}))
}

// Inspect fills into with the first element of `docker inspect` for an object of
// the given type ("container", "image", "network", "volume").
func (c *CLI) Inspect(ctx context.Context, typ, name string, into any) error {
	args := []string{"inspect", "--type=" + typ, name}
	if typ == "network" || typ == "volume" {
		args = []string{typ, "inspect", name}
	}
	out, err := c.Run(ctx, args...)
	if err != nil {
		return err
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return fmt.Errorf("read docker inspect of %s %s: %w", typ, name, err)
	}
	if len(list) == 0 {
		return fmt.Errorf("%s %s: %w", typ, name, ErrNotFound)
	}
	return json.Unmarshal(list[0], into)
}

// Lines runs `docker args...` and gives the non-empty lines of its stdout.
func (c *CLI) Lines(ctx context.Context, args ...string) ([]string, error) {
	out, err := c.Run(ctx, args...)
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(out, "\n"), nil
}

// Exec runs a command in a container and gives its stdout.
func (c *CLI) Exec(ctx context.Context, container string, argv ...string) (string, error) {
	return c.Run(ctx, append([]string{"exec", container}, argv...)...)
}

// WriteFile writes a file in a running container, making its directory.
func (c *CLI) WriteFile(ctx context.Context, container, path string, content []byte) error {
	var errOut bytes.Buffer
	script := `mkdir -p "$(dirname "$1")" && cat > "$1"`
	if err := c.Stream(ctx, bytes.NewReader(content), nil, &errOut, nil, "exec", "-i", container, "sh", "-c", script, "sh", path); err != nil {
		return fmt.Errorf("write %s in container %s: %w", path, container, err)
	}
	return nil
}

// notFound is the engine's words for a missing object; its command line has no
// exit code of its own for it. They differ with the release and the command, so
// case does not count, but what is missing does: a context, a program in a
// container or an image's manifest that is "not found" is another matter.
var notFound = regexp.MustCompile(`(?i)\bno such (container|image|object|network|volume)\b|\bnetwork \S+ not found\b`)

func translate(err error) error {
	var exit *execx.ExitError
	if errors.As(err, &exit) && notFound.MatchString(exit.Stderr) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}
