package iostreams

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"
)

// Size is a terminal's size in characters.
type Size struct{ Width, Height int }

// resizePoll is how often the size of a raw terminal is looked at. Windows has
// no signal for it, and four looks a second cost nothing.
const resizePoll = 250 * time.Millisecond

// Raw hands the terminal over to a remote program: keys go through unchanged,
// Ctrl-C too. sizes gets the size at once and after each change, until ctx ends.
// restore gives the terminal back.
func (s *Streams) Raw(ctx context.Context) (sizes <-chan Size, restore func(), err error) {
	in, ok := s.In.(*os.File)
	if !ok || !s.inTTY {
		return nil, nil, errors.New("standard input is no terminal")
	}
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("take over the terminal: %w", err)
	}
	ch := make(chan Size, 1)
	go watchSize(ctx, int(in.Fd()), ch)
	return ch, func() { _ = term.Restore(int(in.Fd()), old) }, nil
}

func watchSize(ctx context.Context, fd int, ch chan<- Size) {
	defer close(ch)
	tick := time.NewTicker(resizePoll)
	defer tick.Stop()
	var last Size
	for {
		if w, h, err := term.GetSize(fd); err == nil && (Size{w, h}) != last {
			last = Size{w, h}
			select {
			case ch <- last:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
