package cmdutil_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
)

func TestConfirmer(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, "Yes\n": true, "n\n": false, "\n": false, "": false, "yes please\n": false} {
		streams, in, _, errOut := iostreams.Test()
		streams.SetTTY(true)
		in.WriteString(answer)
		got, err := cmdutil.Confirmer(streams)(t.Context(), "Run it?")
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
		if errOut.String() != "Run it? [y/N] " {
			t.Errorf("asked %q", errOut)
		}
	}
	streams, _, _, _ := iostreams.Test()
	if cmdutil.Confirmer(streams) != nil {
		t.Error("asks where nobody can answer")
	}
}

func TestConfirmerEndsWithTheContext(t *testing.T) {
	t.Parallel()
	streams, _, _, _ := iostreams.Test()
	streams.SetTTY(true)
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	streams.In = r
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(clierr.ErrInterrupted)
	if _, err := cmdutil.Confirmer(streams)(ctx, "Run it?"); !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("error %v", err)
	}
}
