package smoke

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"labctl.dev/labctl/pkg/clierr"
)

// TestRoom: a lab that does not fit waits for another to end, and for nothing else.
func TestRoom(t *testing.T) {
	t.Parallel()
	unfit := clierr.Unfit("cpu", "", "too small")
	synctest.Test(t, func(t *testing.T) {
		r := newRoom()
		var free atomic.Bool
		free.Store(true)
		up := func() error {
			if !free.CompareAndSwap(true, false) {
				return unfit
			}
			return nil
		}
		never := func() { t.Error("the first waits") }
		if err := r.enter(t.Context(), up, never); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Minute) //nolint:forbidigo // the time of the bubble
			free.Store(true)
			r.leave()
		}()
		begin, waits := time.Now(), 0
		if err := r.enter(t.Context(), up, func() { waits++ }); err != nil || waits != 1 || time.Since(begin) != time.Minute {
			t.Errorf("%v, %d waits, %s", err, waits, time.Since(begin))
		}
		why := errors.New("tired")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		if err := r.enter(ctx, up, func() {}); !errors.Is(err, why) {
			t.Errorf("a third: %v", err)
		}
		r.leave()
		if err := r.enter(t.Context(), up, never); !errors.Is(err, unfit) {
			t.Errorf("alone: %v", err)
		}
	})
	other := errors.New("no network")
	r := newRoom()
	r.here = 1
	if err := r.enter(t.Context(), func() error { return other }, func() { t.Error("waits") }); !errors.Is(err, other) {
		t.Error(err)
	}
}
