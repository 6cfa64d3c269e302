package doctor

import (
	"fmt"
	"strings"
	"time"
)

// textWidth is where long texts are wrapped: a report is pasted into chats.
const textWidth = 100

// Text gives the report as one block for people, without colour, so that it
// can be pasted anywhere. It holds no secrets: proxies stand without password.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "labctl doctor   %s   %s   %s\n", r.Version, r.Platform, r.Time.Format(time.RFC3339))
	fmt.Fprintf(&b, "system          %s\n", r.System)
	if r.Engine != "" {
		fmt.Fprintf(&b, "engine          %s\n", r.Engine)
	}
	if len(r.Labs) > 0 {
		fmt.Fprintf(&b, "labs            %s\n", strings.Join(r.Labs, ", "))
	}
	b.WriteByte('\n')
	wide := 0
	for _, f := range r.Findings {
		wide = max(wide, len(f.Title))
	}
	for _, f := range r.Findings {
		f.text(&b, wide)
	}
	b.WriteByte('\n')
	b.WriteString(r.verdict())
	return b.String()
}

func (f Finding) text(b *strings.Builder, wide int) {
	word := map[Status]string{OK: "ok", Warn: "warn", Fail: "FAIL", Skip: "-"}[f.Status]
	if f.Ignored {
		word = "ign."
	}
	indent := strings.Repeat(" ", 6+wide+2)
	found := f.Found
	if f.Status == OK && needsFigure(f) {
		found += "   (needed: " + f.Needed + ")"
	}
	wrap(b, fmt.Sprintf("%-4s  %-*s  ", word, wide, f.Title), indent, found)
	if f.Status == OK || f.Status == Skip {
		return
	}
	line := func(key, text string) {
		if text != "" {
			wrap(b, indent+fmt.Sprintf("%-7s ", key+":"), indent+strings.Repeat(" ", 8), text)
		}
	}
	line("needed", f.Needed)
	line("why", f.Why)
	if f.Fix != "" {
		// Not wrapped: it is to be copied.
		b.WriteString(indent + "fix:    " + f.Fix + "\n")
	}
	id := f.ID
	if f.Fixable {
		id += " (labctl doctor --fix can do it)"
	}
	line("id", id)
}

// needsFigure says whether a good finding is worth its figure: what was asked
// of memory, CPU and disk tells how much room there is.
func needsFigure(f Finding) bool {
	return f.Needed != "" && (f.ID == IDMemory || f.ID == IDCPU || f.ID == IDDisk)
}

func (r Report) verdict() string {
	count := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
	var notes []string
	if n := len(r.Warnings()); n > 0 {
		notes = append(notes, count(n, "warning", "warnings"))
	}
	ignored := r.filter(func(f Finding) bool { return f.Ignored })
	if len(ignored) > 0 {
		notes = append(notes, "ignored: "+ids(ignored))
	}
	tail := ""
	if len(notes) > 0 {
		tail = " (" + strings.Join(notes, "; ") + ")"
	}
	if r.Fit {
		return "fit" + tail + "\n"
	}
	return "not fit: " + ids(r.Failed()) + tail + "\n"
}

func ids(list []Finding) string {
	var out []string
	for _, f := range list {
		out = append(out, f.ID)
	}
	return strings.Join(out, ", ")
}

// wrap writes text after a prefix and breaks it at spaces; a word that is
// longer than the line stays whole.
func wrap(b *strings.Builder, prefix, indent, text string) {
	line := prefix
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && len(line)+1+len(word) > textWidth {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
