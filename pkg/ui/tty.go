package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// redrawEvery is the beat of the spinner: fast enough to look alive, slow
// enough to cost nothing.
const redrawEvery = 120 * time.Millisecond

// maxRows bounds the live rows of one step, so that the region never grows
// past a small terminal. Rows that are not ready come first.
const maxRows = 10

// TTY draws events on a terminal: finished steps stay as lines, running ones
// live in a region below that is redrawn in place.
type TTY struct {
	mu    sync.Mutex
	w     io.Writer
	width func() int
	style palette
	now   func() time.Time
	steps []*step
	drawn int // lines of the region that are on the screen
	frame int
	stop  chan struct{}
	done  chan struct{}
}

type step struct {
	id, title, text string
	started         time.Time
	rows            []Event
}

var _ Sink = (*TTY)(nil)

// NewTTY makes a TTY and starts its redraw. Close must be called before
// anything else writes to the terminal.
func NewTTY(w io.Writer, width func() int, color bool, now func() time.Time) *TTY {
	t := &TTY{w: w, width: width, style: newPalette(color), now: now, stop: make(chan struct{}), done: make(chan struct{})}
	go t.loop()
	return t
}

func (t *TTY) loop() {
	defer close(t.done)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			t.mu.Lock()
			if len(t.steps) > 0 {
				t.frame++
				t.draw("")
			}
			t.mu.Unlock()
		}
	}
}

// Close ends the redraw and removes the live region.
func (t *TTY) Close() {
	select {
	case <-t.stop:
		return
	default:
		close(t.stop)
	}
	<-t.done
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = nil
	t.draw("")
}

// Emit takes one event into the picture.
func (t *TTY) Emit(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case StepStart:
		t.steps = append(t.steps, &step{id: e.Step, title: e.Title, started: t.now()})
	case StepUpdate:
		if s := t.find(e.Step); s != nil {
			s.text = join(" ", e.Text, progress(e))
		}
	case Row:
		if s := t.find(e.Step); s != nil {
			s.set(e)
		}
	case StepDone:
		t.end(e, t.style.ok("✓"))
	case StepSkip:
		t.end(e, t.style.ok("✓"))
	case StepFail:
		t.end(e, t.style.bad("✗"))
	case Note:
		t.draw(e.Text + "\n")
	case Warn:
		t.draw(t.style.warn("! ") + e.Text + "\n")
	}
}

func (t *TTY) end(e Event, mark string) {
	kept := t.steps[:0]
	for _, s := range t.steps {
		if s.id != e.Step {
			kept = append(kept, s)
		}
	}
	t.steps = kept
	note := ""
	if e.Elapsed >= time.Second/10 {
		note = Duration(e.Elapsed)
	}
	t.draw(fmt.Sprintf("%s %s\n", mark, join("  ", e.Title, t.style.dim(join(", ", e.Text, note)))))
}

func (t *TTY) find(id string) *step {
	for _, s := range t.steps {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (s *step) set(e Event) {
	for i := range s.rows {
		if s.rows[i].Item == e.Item {
			s.rows[i] = e
			return
		}
	}
	s.rows = append(s.rows, e)
}

// visible gives the rows to show: those under way first when there are too many.
func (s *step) visible() (rows []Event, hidden int) {
	if len(s.rows) <= maxRows {
		return s.rows, 0
	}
	for _, r := range s.rows {
		if r.State != Ready && len(rows) < maxRows {
			rows = append(rows, r)
		}
	}
	return rows, len(s.rows) - len(rows)
}

// draw writes text above the live region and the region below it, in one write
// so that the terminal never shows a half-drawn frame.
func (t *TTY) draw(text string) {
	var b strings.Builder
	if t.drawn > 0 {
		b.WriteString(ansi.CursorUp(t.drawn))
		b.WriteString("\r")
		b.WriteString(ansi.EraseScreenBelow)
	}
	b.WriteString(text)
	width := t.width() - 1
	lines := t.region()
	for _, l := range lines {
		b.WriteString(ansi.Truncate(l, width, "…"))
		b.WriteString("\n")
	}
	t.drawn = len(lines)
	// Progress that can't be written must not stop the work.
	_, _ = io.WriteString(t.w, b.String())
}

func (t *TTY) region() []string {
	spinner := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	var lines []string
	for _, s := range t.steps {
		mark := t.style.busy(string(spinner[t.frame%len(spinner)]))
		lines = append(lines, fmt.Sprintf("%s %s", mark, join("  ", s.title, t.style.dim(join(", ", s.text, Duration(t.now().Sub(s.started)))))))
		rows, hidden := s.visible()
		for _, r := range rows {
			lines = append(lines, "    "+t.row(r))
		}
		if hidden > 0 {
			lines = append(lines, t.style.dim(fmt.Sprintf("    and %d more", hidden)))
		}
	}
	return lines
}

func (t *TTY) row(r Event) string {
	text := t.style.dim(join(" ", r.Text, progress(r), r.Detail))
	switch r.State {
	case Ready:
		return join("  ", t.style.ok("✓")+" "+r.Item, text)
	case Failed:
		return join("  ", t.style.bad("✗")+" "+r.Item, join(" ", r.Text))
	case Working:
		return join("  ", t.style.busy("•")+" "+r.Item, text)
	default:
		return join("  ", t.style.dim("·")+" "+r.Item, text)
	}
}

// palette gives the few colours in use; without colour every function is the
// identity.
type palette struct{ ok, bad, warn, busy, dim func(string) string }

func newPalette(color bool) palette {
	paint := func(attr ansi.Attr) func(string) string {
		return func(s string) string {
			if !color || s == "" {
				return s
			}
			return ansi.NewStyle(attr).Styled(s)
		}
	}
	return palette{
		ok:   paint(ansi.AttrGreenForegroundColor),
		bad:  paint(ansi.AttrRedForegroundColor),
		warn: paint(ansi.AttrYellowForegroundColor),
		busy: paint(ansi.AttrCyanForegroundColor),
		dim:  paint(ansi.AttrFaint),
	}
}
