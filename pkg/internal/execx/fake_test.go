package execx_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/internal/execx"
)

func TestFake(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	f := execx.NewFake(
		execx.Rule{Prefix: "docker ps -a", Stdout: "all"},
		execx.Rule{Prefix: "docker ps", Stdout: "some"},
		execx.Rule{Prefix: "docker rm", Err: broken},
		execx.Rule{Prefix: "docker do", Do: func(_ context.Context, c execx.Cmd) error {
			_, err := c.Stdout.Write([]byte(c.Args[1]))
			return err
		}},
	)
	tests := []struct {
		args []string
		out  string
		err  error
	}{
		{[]string{"ps", "-a"}, "all", nil},
		{[]string{"ps", "-q"}, "some", nil},
		{[]string{"rm", "x"}, "", broken},
		{[]string{"do", "it"}, "it", nil},
	}
	var calls []string
	for _, tt := range tests {
		c := execx.Cmd{Name: "docker", Args: tt.args}
		calls = append(calls, c.String())
		out, err := execx.Output(t.Context(), f, c)
		if string(out) != tt.out || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v", c, out, err)
		}
	}
	if err := f.Run(t.Context(), execx.Cmd{Name: "podman"}); err == nil {
		t.Error("a command without a rule is no error")
	}
	if diff := cmp.Diff(append(calls, "podman"), f.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	if err := f.Run(ctx, execx.Cmd{Name: "docker", Args: []string{"ps"}}); !errors.Is(err, broken) {
		t.Errorf("cancelled: %v", err)
	}
}
