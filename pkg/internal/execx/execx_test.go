package execx

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	var exit *ExitError
	_, err := Output(context.Background(), Local{}, Cmd{Name: "go", Args: []string{"no-such-command"}})
	if !errors.As(err, &exit) || exit.Code != 2 || !strings.Contains(exit.Stderr, "unknown command") {
		t.Errorf("got %v", err)
	}
	out, err := Output(context.Background(), Local{}, Cmd{Name: "go", Args: []string{"env", "GOFLAGS"}, Env: []string{"GOFLAGS=-v"}})
	if err != nil || strings.TrimSpace(string(out)) != "-v" {
		t.Errorf("got %q, %v", out, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	cancel(why)
	if _, err := Output(ctx, Local{}, Cmd{Name: "go", Args: []string{"version"}}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
