package ui

import (
	"fmt"
	"io"
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
}

type printed struct {
	state RowState
	text  string
	at    time.Time
}

var _ Sink = (*Plain)(nil)

// NewPlain makes a Plain on w; now is time.Now but in tests.
func NewPlain(w io.Writer, now func() time.Time) *Plain {
	return &Plain{w: w, now: now, last: map[string]printed{}}
}

// Emit prints the event where it is news.
func (p *Plain) Emit(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case StepStart:
		p.line("==> %s", e.Title)
	case StepUpdate:
		if p.news(e.Step, e) {
			p.line("    %s", join(" ", e.Text, progress(e)))
		}
	case StepDone:
		p.line("    done: %s (%s)", join(", ", e.Title, e.Text), Duration(e.Elapsed))
	case StepSkip:
		p.line("    nothing to do: %s", join(", ", e.Title, e.Text))
	case StepFail:
		p.line("    failed: %s (%s)", e.Title, Duration(e.Elapsed))
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
