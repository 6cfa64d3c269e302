package smoke

import (
	"context"
	"sync"

	"labctl.dev/labctl/pkg/clierr"
)

// room lets a lab that does not fit on the machine beside those that are being
// proven wait until one of them has ended.
type room struct {
	mu   sync.Mutex
	here int
	left chan struct{} // closed when a lab leaves
}

func newRoom() *room { return &room{left: make(chan struct{})} }

// enter runs up until the lab has a place. waits is told each time that it has
// to wait for one. A lab that does not fit alone never will.
func (r *room) enter(ctx context.Context, up func() error, waits func()) error {
	for {
		r.mu.Lock()
		others, left := r.here, r.left
		r.mu.Unlock()
		err := up()
		switch {
		case err == nil:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.here++
			return nil
		case others == 0, clierr.Code(err) != clierr.CodeUnfit:
			return err
		}
		waits()
		select {
		case <-left:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leave gives the place of a lab to others.
func (r *room) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.here--
	close(r.left)
	r.left = make(chan struct{})
}
