package docker_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

func TestInspectOfEachType(t *testing.T) {
	t.Parallel()
	f := execx.NewFake(
		execx.Rule{Prefix: "docker inspect --type=container node", Stdout: `[{"Name": "/node"}, {"Name": "/other"}]`},
		execx.Rule{Prefix: "docker inspect --type=image i", Stdout: `[{"Name": "i"}]`},
		execx.Rule{Prefix: "docker network inspect n", Stdout: `[{"Name": "n"}]`},
		execx.Rule{Prefix: "docker volume inspect v", Stdout: `[{"Name": "v"}]`},
	)
	for _, tt := range [][3]string{{"container", "node", "/node"}, {"image", "i", "i"}, {"network", "n", "n"}, {"volume", "v", "v"}} {
		var got struct{ Name string }
		if err := docker.New(f).Inspect(t.Context(), tt[0], tt[1], &got); err != nil || got.Name != tt[2] {
			t.Errorf("%s %s: %q, %v", tt[0], tt[1], got.Name, err)
		}
	}
}

func TestInspectReadsOnlyJSON(t *testing.T) {
	t.Parallel()
	var got struct{ Name string }
	err := docker.New(execx.NewFake(execx.Rule{Stdout: "<html>"})).Inspect(t.Context(), "container", "x", &got)
	if err == nil || errors.Is(err, docker.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{"": nil, "\n": nil, "a\n": {"a"}, "a\nb\n": {"a", "b"}}
	for stdout, want := range tests {
		got, err := docker.New(execx.NewFake(execx.Rule{Prefix: "docker ps", Stdout: stdout})).Lines(t.Context(), "ps")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", stdout, err, diff)
		}
	}
}

func TestExecAndWriteFile(t *testing.T) {
	t.Parallel()
	var argv []string
	var content string
	f := execx.NewFake(
		execx.Rule{Prefix: "docker exec node cat", Stdout: "text\n"},
		execx.Rule{Prefix: "docker exec -i node", Do: func(_ context.Context, c execx.Cmd) error {
			argv = c.Args
			raw, err := io.ReadAll(c.Stdin)
			content = string(raw)
			return err
		}},
		execx.Rule{Prefix: "docker exec -i gone", Err: &execx.ExitError{Command: "docker", Code: 1, Stderr: "Error: No such container: gone"}},
	)
	cli := docker.New(f)
	if out, err := cli.Exec(t.Context(), "node", "cat", "/f"); out != "text" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	if err := cli.WriteFile(t.Context(), "node", "/etc/a b/f", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	// The path is an argument of the script and never a part of it.
	if got := argv[len(argv)-1]; got != "/etc/a b/f" || content != "hello" {
		t.Errorf("path %q, content %q", got, content)
	}
	if err := cli.WriteFile(t.Context(), "gone", "/f", nil); !errors.Is(err, docker.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}
