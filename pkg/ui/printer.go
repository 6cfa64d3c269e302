package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Printer writes the text form of a result and remembers the first error, so
// that callers check once.
type Printer struct {
	w   io.Writer
	err error
}

// NewPrinter makes a Printer on w.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: w} }

// Linef writes one line.
func (p *Printer) Linef(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// Table writes rows in aligned columns, each line after the given indent.
func (p *Printer) Table(indent string, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		b.WriteString(indent)
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-ansi.StringWidth(cell)+2))
			}
		}
		p.Linef("%s", strings.TrimRight(b.String(), " "))
	}
}

// Err gives the first error of writing.
func (p *Printer) Err() error { return p.err }

// Indent puts a prefix before every line of s.
func Indent(prefix, s string) string {
	return prefix + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+prefix)
}
