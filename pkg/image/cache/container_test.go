package cache

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

const (
	inspectCmd = "docker inspect --type=container labctl-cache"
	image      = "labctl.local/registry:1"
)

func container(status, img, hostPort, owner string) string {
	return `[{"Path":"/usr/local/bin/registry","Args":["serve","/etc/distribution/config.yml"],"State":{"Status":"` + status + `"},
"Config":{"Image":"` + img + `","Labels":{"dev.labctl.owner":"` + owner + `"}},
"HostConfig":{"PortBindings":{"5000/tcp":[{"HostIp":"127.0.0.1","HostPort":"` + hostPort + `"}]}},
"Mounts":[{"Name":"labctl-cache","Destination":"/var/lib/registry"}],"NetworkSettings":{"Networks":{"bridge":{},"labctl":{}}}}]`
}

func failed(stderr string) error {
	return &execx.ExitError{Command: "docker", Code: 1, Stderr: stderr}
}

// verbs gives what was done, without the looking.
func verbs(calls []string) []string {
	var out []string
	for _, c := range calls {
		if strings.HasPrefix(c, "docker inspect") {
			continue
		}
		f := strings.Fields(c)
		out = append(out, f[1]+" "+f[len(f)-1])
	}
	return out
}

func testContainer(f *execx.Fake, answers func(ctx context.Context, addr string) error) *Container {
	c := NewContainer(docker.New(f))
	c.answers = answers
	c.freePort = func(_ context.Context, preferred int) (int, error) {
		if preferred == 0 {
			return 40000, nil
		}
		return preferred, nil
	}
	return c
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	absent := execx.Rule{Prefix: inspectCmd, Err: failed("Error: No such container: labctl-cache")}
	is := func(status, img string) execx.Rule {
		return execx.Rule{Prefix: inspectCmd, Stdout: container(status, img, "5411", "labctl")}
	}
	ok := func(prefix string) execx.Rule { return execx.Rule{Prefix: "docker " + prefix} }
	taken := execx.Rule{Prefix: "docker run", Do: func(_ context.Context, c execx.Cmd) error {
		if strings.Contains(c.String(), ":5411:") {
			return failed("Bind for 127.0.0.1:5411 failed: port is already allocated")
		}
		return nil
	}}
	tests := map[string]struct {
		rules []execx.Rule
		want  []string
		addr  string
		err   string
	}{
		"nothing there": {
			rules: []execx.Rule{absent, ok("volume create"), ok("run")},
			want:  []string{"volume labctl-cache", "run " + image}, addr: "127.0.0.1:5411",
		},
		"runs":   {rules: []execx.Rule{is("running", image)}, addr: "127.0.0.1:5411"},
		"paused": {rules: []execx.Rule{is("paused", image), ok("unpause")}, want: []string{"unpause labctl-cache"}, addr: "127.0.0.1:5411"},
		"stopped": {
			rules: []execx.Rule{is("exited", image), ok("start")},
			want:  []string{"start labctl-cache"}, addr: "127.0.0.1:5411",
		},
		"stopped, port lost since": {
			rules: []execx.Rule{
				is("exited", image),
				{Prefix: "docker start", Err: failed("port is already allocated")},
				ok("rm"), ok("volume create"), taken, ok("network connect"),
			},
			want: []string{"start labctl-cache", "rm labctl-cache", "volume labctl-cache", "run " + image, "rm labctl-cache", "run " + image},
			addr: "127.0.0.1:40000",
		},
		"older image": {
			rules: []execx.Rule{is("running", "labctl.local/registry:0"), ok("rm"), ok("volume create"), ok("run")},
			want:  []string{"rm labctl-cache", "volume labctl-cache", "run " + image}, addr: "127.0.0.1:5411",
		},
		"engine is full": {
			rules: []execx.Rule{absent, ok("volume create"), {Prefix: "docker run", Err: failed("no space left on device")}, ok("rm")},
			want:  []string{"volume labctl-cache", "run " + image, "rm labctl-cache"}, err: "start the image cache",
		},
		"somebody else's": {
			rules: []execx.Rule{{Prefix: inspectCmd, Stdout: container("running", "redis", "5411", "")}},
			err:   "a container labctl-cache exists that labctl did not make",
		},
		"engine is down": {
			rules: []execx.Rule{{Prefix: inspectCmd, Err: failed("Cannot connect to the Docker daemon")}},
			err:   "Cannot connect to the Docker daemon",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := execx.NewFake(tt.rules...)
			c := testContainer(f, func(context.Context, string) error { return nil })
			addr, err := c.Ensure(context.Background(), image)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
			} else if err != nil || addr != tt.addr {
				t.Errorf("got %q, %v; want %q", addr, err, tt.addr)
			}
			if diff := cmp.Diff(tt.want, verbs(f.Calls())); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// Two labctl that start at the same time make one cache.
func TestEnsureRace(t *testing.T) {
	t.Parallel()
	there := false
	f := execx.NewFake(
		execx.Rule{Prefix: inspectCmd, Do: func(_ context.Context, c execx.Cmd) error {
			if !there {
				return failed("No such container")
			}
			_, err := c.Stdout.Write([]byte(container("running", image, "5999", "labctl")))
			return err
		}},
		execx.Rule{Prefix: "docker volume create"},
		execx.Rule{Prefix: "docker run", Do: func(context.Context, execx.Cmd) error {
			there = true
			return failed(`Conflict. The container name "/labctl-cache" is already in use by container "1"`)
		}},
	)
	c := testContainer(f, func(context.Context, string) error { return nil })
	if addr, err := c.Ensure(context.Background(), image); err != nil || addr != "127.0.0.1:5999" {
		t.Errorf("got %q, %v", addr, err)
	}
}

// A cache that runs but does not answer (its store was damaged, say) is made anew.
func TestEnsureReplacesWhatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	made := false
	f := execx.NewFake(
		execx.Rule{Prefix: inspectCmd, Do: func(_ context.Context, c execx.Cmd) error {
			_, err := c.Stdout.Write([]byte(container("dead", image, "5411", "labctl")))
			return err
		}},
		execx.Rule{Prefix: "docker start"}, execx.Rule{Prefix: "docker rm"}, execx.Rule{Prefix: "docker volume create"},
		execx.Rule{Prefix: "docker logs"},
		execx.Rule{Prefix: "docker run", Do: func(context.Context, execx.Cmd) error { made = true; return nil }},
	)
	c := testContainer(f, func(context.Context, string) error {
		if !made {
			return errors.New("connection refused")
		}
		return nil
	})
	if _, err := c.Ensure(context.Background(), image); err != nil || !made {
		t.Errorf("made %v, err %v", made, err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	ours := execx.Rule{Prefix: "docker volume inspect", Stdout: `[{"Labels":{"dev.labctl.owner":"labctl"}}]`}
	tests := map[string]struct {
		rules []execx.Rule
		want  []string
		err   string
	}{
		"both": {
			rules: []execx.Rule{{Prefix: inspectCmd, Stdout: container("running", image, "1", "labctl")}, {Prefix: "docker rm"}, ours, {Prefix: "docker volume rm"}},
			want:  []string{"rm labctl-cache", "volume labctl-cache", "volume labctl-cache"},
		},
		"nothing": {
			rules: []execx.Rule{{Prefix: inspectCmd, Err: failed("No such container")}, {Prefix: "docker volume inspect", Err: failed("no such volume")}},
			want:  []string{"volume labctl-cache"},
		},
		"foreign volume": {
			rules: []execx.Rule{{Prefix: inspectCmd, Err: failed("No such container")}, {Prefix: "docker volume inspect", Stdout: `[{"Labels":null}]`}},
			want:  []string{"volume labctl-cache"}, err: "did not make",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := execx.NewFake(tt.rules...)
			err := testContainer(f, nil).Remove(context.Background())
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, verbs(f.Calls())); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	f := execx.NewFake(
		execx.Rule{Prefix: inspectCmd, Stdout: container("running", image, "5411", "labctl")},
		execx.Rule{Prefix: "docker network connect other labctl-cache"},
		execx.Rule{Prefix: "docker network disconnect --force labctl labctl-cache"},
	)
	c := testContainer(f, nil)
	for _, do := range []func() error{
		func() error { return c.Join(context.Background(), "labctl") }, // is in it
		func() error { return c.Join(context.Background(), "other") },
		func() error { return c.Leave(context.Background(), "labctl") },
		func() error { return c.Leave(context.Background(), "other") }, // is not in it
	} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
	if got := verbs(f.Calls()); len(got) != 2 {
		t.Errorf("calls: %v", got)
	}
}

func TestHostsTOML(t *testing.T) {
	t.Parallel()
	want := `server = "http://labctl-cache:5000"

[host."http://labctl-cache:5000"]
  capabilities = ["pull", "resolve"]
`
	if diff := cmp.Diff(want, string(HostsTOML(Address))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
