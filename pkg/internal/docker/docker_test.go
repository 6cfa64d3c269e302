package docker_test

import (
	"context"
	"errors"
	"testing"

	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

// The texts are what docker 20.10 and docker 28 print.
func TestNotFound(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stderr string
		want   bool
	}{
		"container":                 {"Error: No such container: x", true},
		"container, from daemon":    {"Error response from daemon: No such container: x", true},
		"container to start":        {"Error response from daemon: No such container: x\nError: failed to start containers: x", true},
		"container to kill":         {"Error response from daemon: Cannot kill container: x: No such container: x", true},
		"image, 20.10":              {"Error: No such image: x", true},
		"image, 28":                 {"Error response from daemon: no such image: x: No such image: x:latest", true},
		"image to run, never pull":  {"docker: Error response from daemon: No such image: x:latest.\nSee 'docker run --help'.", true},
		"object":                    {"Error: No such object: x", true},
		"volume, 20.10":             {"Error: No such volume: x", true},
		"volume, 28":                {"Error response from daemon: get x: no such volume", true},
		"network, 20.10":            {"Error: No such network: x", true},
		"network, 28":               {"Error response from daemon: network x not found", true},
		"context":                   {`Failed to initialize: unable to resolve docker endpoint: context "x": context not found: open meta.json: no such file or directory`, false},
		"context, 20.10":            {`unable to resolve docker endpoint: context "x" does not exist`, false},
		"program in a container":    {`OCI runtime exec failed: exec failed: unable to start container process: exec: "x": executable file not found in $PATH: unknown`, false},
		"credential helper":         {`error getting credentials - err: exec: "docker-credential-x": executable file not found in $PATH, out: ""`, false},
		"manifest in a registry":    {"Error response from daemon: manifest for x:1 not found: manifest unknown: manifest unknown", false},
		"endpoint":                  {"Error response from daemon: endpoint x not found", false},
		"file in a container, 28":   {"Error response from daemon: Could not find the file /x in container y", false},
		"host":                      {"Cannot connect to the Docker daemon: dial tcp: lookup x: no such host", false},
		"command of a shell":        {"sh: 1: x: not found", false},
		"plugin":                    {"docker: 'x' is not a docker command.", false},
		"engine without the driver": {`Error response from daemon: plugin "x" not found`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fail := &execx.ExitError{Command: "docker", Code: 1, Stderr: tt.stderr}
			_, err := docker.New(execx.NewFake(execx.Rule{Prefix: "docker", Err: fail})).Run(context.Background(), "x")
			if errors.Is(err, docker.ErrNotFound) != tt.want || !errors.Is(err, fail) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	f := execx.NewFake(
		execx.Rule{Prefix: "docker inspect --type=image there", Stdout: `[{"Id":"1"}]`},
		execx.Rule{Prefix: "docker volume inspect none", Stdout: `[]`},
	)
	c := docker.New(f)
	var got struct{ ID string }
	if err := c.Inspect(context.Background(), "image", "there", &got); err != nil || got.ID != "1" {
		t.Errorf("got %v, %v", got, err)
	}
	if err := c.Inspect(context.Background(), "volume", "none", &got); !errors.Is(err, docker.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
