package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// repeatAfter is how long an unchanged row stays silent before it is printed
// again, so that a log without a terminal shows that work goes on.
const repeatAfter = 15 * time.Second

// Plain prints events as lines that are never redrawn: for logs, CI systems
// and screen readers. A row is printed when its state changes, and from time to
// time while it stays.
type Plain struct {
	mu   sync.Mutex
	w    io.Writer
	now  func() time.Time
	last map[string]printed
	open map[string]string // title of each step that has begun and not ended
}

type printed struct {
	state RowState
	text  string
	at    time.Time
}

var _ Sink = (*Plain)(nil)

// NewPlain makes a Plain on w; now is time.Now but in tests.
func NewPlain(w io.Writer, now func() time.Time) *Plain {
	return &Plain{w: w, now: now, last: map[string]printed{}, open: map[string]string{}}
}

// Emit prints the event where it is news.
func (p *Plain) Emit(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case StepStart:
		p.open[e.Step] = e.Title
		p.line("==> %s", e.Title)
	case StepUpdate:
		if p.news(e.Step, e) {
			p.line("    %s%s", p.whose(e.Step), join(" ", e.Text, progress(e)))
		}
	case StepDone:
		delete(p.open, e.Step)
		p.line("    done: %s (%s)", join(", ", e.Title, e.Text), Duration(e.Elapsed))
	case StepSkip:
		delete(p.open, e.Step)
		p.line("    nothing to do: %s", join(", ", e.Title, e.Text))
	case StepFail:
		delete(p.open, e.Step)
		p.line("    failed: %s (%s)", e.Title, Duration(e.Elapsed))
		if e.Text != "" {
			// Now, too, and not only at the end of the run, which may be far away.
			for l := range strings.SplitSeq(e.Text, "\n") {
				p.line("        %s", l)
			}
		}
	case Row:
		if p.news(e.Step+"/"+e.Item, e) {
			p.line("    %-7s %s%s", rowWord(e.State), e.Item, suffix(": ", join(" ", e.Text, progress(e))))
		}
	case Note:
		p.line("%s", e.Text)
	case Warn:
		p.line("warning: %s", e.Text)
	}
}

// whose says which step a line is of, while several run side by side.
func (p *Plain) whose(id string) string {
	if title := p.open[id]; title != "" && len(p.open) > 1 {
		return title + ": "
	}
	return ""
}

func (p *Plain) news(key string, e Event) bool {
	last, seen := p.last[key]
	now := p.now()
	fresh := !seen || last.state != e.State || last.text != e.Text
	// Counters move many times a second; only their text and state are news.
	if !fresh && now.Sub(last.at) < repeatAfter {
		return false
	}
	if !fresh && (e.State == Ready || e.State == Failed) {
		return false
	}
	p.last[key] = printed{state: e.State, text: e.Text, at: now}
	return true
}

func (p *Plain) line(format string, args ...any) {
	// Progress that can't be written must not stop the work.
	_, _ = fmt.Fprintf(p.w, format+"\n", args...)
}

func rowWord(s RowState) string {
	switch s {
	case Working:
		return "working"
	case Ready:
		return "ready"
	case Failed:
		return "failed"
	default:
		return "waiting"
	}
}

func suffix(sep, s string) string {
	if s == "" {
		return ""
	}
	return sep + s
}
