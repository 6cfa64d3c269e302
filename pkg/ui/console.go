package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/iostreams"
)

// Console shows progress and errors of one run on stderr, and is the one place
// that chooses how: redrawn on a terminal, plain lines elsewhere.
type Console struct {
	sink  Sink
	close func()
	style palette
	w     io.Writer
}

var _ Sink = (*Console)(nil)

// NewConsole chooses the renderer. plain forces lines on a terminal too, for
// screen readers and recordings.
func NewConsole(s *iostreams.Streams, plain bool) *Console {
	c := &Console{w: s.ErrOut, style: newPalette(s.Color()), close: func() {}}
	if s.ErrTTY() && !plain {
		t := NewTTY(s.ErrOut, s.Width, s.Color(), time.Now)
		c.sink, c.close = t, t.Close
		return c
	}
	c.sink = NewPlain(s.ErrOut, time.Now)
	return c
}

// Emit shows one event.
func (c *Console) Emit(e Event) { c.sink.Emit(e) }

// Close ends redrawing; results may be written after it.
func (c *Console) Close() { c.close() }

// Error writes err for a person: what and why, the evidence, what to do.
func (c *Console) Error(err error) {
	c.Close()
	r := clierr.Describe(err)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", c.style.bad("Error:"), r.Error)
	if r.Detail != "" {
		for l := range strings.SplitSeq(r.Detail, "\n") {
			fmt.Fprintf(&b, "    %s\n", l)
		}
	}
	if r.Hint != "" {
		fmt.Fprintf(&b, "%s %s\n", c.style.busy("Try:"), strings.ReplaceAll(r.Hint, "\n", "\n     "))
	}
	_, _ = io.WriteString(c.w, b.String())
}
