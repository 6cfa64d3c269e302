package check

import (
	"fmt"
	"io"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// texter writes reports for people.
type texter struct {
	style ui.Style
	width int // 0: no lines are broken
	full  bool
}

func newTexter(s *iostreams.Streams, full bool) texter {
	t := texter{style: ui.NewStyle(s.OutTTY() && s.Color()), full: full}
	if s.OutTTY() {
		t.width = s.Width()
	}
	return t
}

// report writes each task with its checks, the score and what is next.
func (t texter) report(w io.Writer, r *practice.CheckReport) error {
	p := ui.NewPrinter(w)
	detailed := t.full
	for i, task := range r.Tasks {
		if i > 0 {
			p.Linef("")
		}
		// All there is to know about the first task that does not stand; of the
		// others a line each, or the first would be out of sight.
		open := !task.Passed || task.Regressed
		t.task(p, task, t.full || open && !detailed)
		detailed = detailed || open
	}
	p.Linef("")
	t.fault(p, r.Fault)
	for _, n := range r.Notes {
		t.line(p, t.style.Dim("Note:")+" ", 6, n)
	}
	p.Linef("Score: %s", cmdutil.ScoreLine(r.Score))
	if r.Next != nil {
		t.line(p, "Next:  ", 7, r.Next.Command+"   "+r.Next.Text)
	}
	return p.Err()
}

func (t texter) task(p *ui.Printer, task practice.TaskReport, detail bool) {
	p.Linef("%s  %s", task.Title, t.style.Dim(cmdutil.TaskLine(task.TaskScore)))
	var passed, skipped []string
	why := ""
	for _, c := range task.Checks {
		switch c.Status {
		case check.StatusPass:
			passed = append(passed, c.ID)
		case check.StatusSkipped:
			skipped = append(skipped, c.ID)
		default:
		}
	}
	if len(passed) > 0 {
		p.Linef("  %s %s", t.style.OK("✓"), strings.Join(passed, ", "))
	}
	for _, c := range task.Checks {
		if c.Status == check.StatusPass || c.Status == check.StatusSkipped {
			continue
		}
		t.check(p, c)
		if detail && c.Status != check.StatusBlocked {
			shown := c
			if shown.Why == why {
				shown.Why = "" // once is enough
			} else {
				why = c.Why
			}
			t.detail(p, shown)
		}
	}
	if len(skipped) > 0 {
		p.Linef("  %s %s", t.style.Dim("-"), t.style.Dim(strings.Join(skipped, ", ")+"  not run"))
	}
}

// check writes the line of one check that does not pass.
func (t texter) check(p *ui.Printer, c practice.CheckResult) {
	mark, word := t.style.Bad("✗"), ""
	switch c.Status {
	case check.StatusPass:
		mark = t.style.OK("✓")
	case check.StatusBlocked:
		mark = t.style.Dim("•")
	case check.StatusWaiting:
		mark, word = t.style.Busy("•"), "not yet: "
	case check.StatusError:
		mark, word = t.style.Warn("!"), "could not be checked: "
	default:
	}
	if c.Regressed {
		word += "passed before: "
	}
	t.line(p, "  "+mark+" "+c.ID+"  ", 4+len(c.ID)+2, word+c.Message)
}

// detail writes what is known about a failure.
func (t texter) detail(p *ui.Printer, c practice.CheckResult) {
	const indent = "      "
	for _, f := range []struct{ name, text string }{
		{"found", c.Found}, {"expected", c.Expected}, {"where", c.Where}, {"why", c.Why}, {"look", c.Look},
	} {
		if f.text == "" {
			continue
		}
		t.line(p, indent+t.style.Dim(fmt.Sprintf("%-9s", f.name)), len(indent)+9, f.text)
	}
	if c.Detail != "" && t.full {
		p.Linef("%s", ui.Indent(indent+"  ", c.Detail))
	}
}

// line writes a text after a prefix of that width, and breaks it below itself.
func (t texter) line(p *ui.Printer, prefix string, indent int, text string) {
	if t.width > 0 {
		text = ui.Wrap(text, max(20, t.width-indent))
	}
	p.Linef("%s%s", prefix, strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", indent)))
}

func (t texter) fault(p *ui.Printer, f *practice.FaultReport) {
	switch {
	case f == nil:
		return
	case f.Fixed.IsZero():
		t.line(p, t.style.Warn("Fault in progress:")+" ", 2, f.Story)
		if !f.Settles.IsZero() {
			t.line(p, "  ", 2, "Everything passes, but a fault may take a moment to show: check again at "+f.Settles.Local().Format(time.TimeOnly)+".")
		}
		p.Linef("")
		return
	}
	took := ui.Duration(f.Fixed.Sub(f.Injected))
	t.line(p, t.style.OK("Repaired")+" ", 2, fmt.Sprintf("in %s: %s (+%d points)", took, f.Title, f.Earned))
	if f.Cause != "" {
		t.line(p, "  The cause: ", 2, f.Cause)
	}
	if !f.Note {
		t.line(p, "  ", 2, fmt.Sprintf("Next time, write the cause into ConfigMap rca before you check: +%d points.", progress.NotePoints))
	}
	p.Linef("")
}

// changes writes what a round of watching brought.
func (t texter) changes(w io.Writer, r *practice.CheckReport, list []practice.Change) error {
	p := ui.NewPrinter(w)
	for _, c := range list {
		switch c.Check.Status {
		case check.StatusPass:
			p.Linef("  %s %s  passes", t.style.OK("✓"), c.Check.ID)
		case check.StatusSkipped:
		default:
			t.check(p, c.Check)
		}
	}
	t.fault(p, r.Fault)
	p.Linef("%s", t.style.Dim(fmt.Sprintf("Score: %s. Ctrl-C ends.", cmdutil.ScoreLine(r.Score))))
	return p.Err()
}
