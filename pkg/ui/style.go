package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Style sets words of a result off. Without colour it changes nothing.
type Style struct{ palette palette }

// NewStyle makes a Style. Results are coloured only where they go to a
// terminal.
func NewStyle(color bool) Style { return Style{newPalette(color)} }

// OK is for what is as it must be.
func (s Style) OK(text string) string { return s.palette.ok(text) }

// Bad is for what is not as it must be.
func (s Style) Bad(text string) string { return s.palette.bad(text) }

// Warn is for trouble that does not count.
func (s Style) Warn(text string) string { return s.palette.warn(text) }

// Busy is for what is still to come.
func (s Style) Busy(text string) string { return s.palette.busy(text) }

// Dim is for what may be passed over.
func (s Style) Dim(text string) string { return s.palette.dim(text) }

// Wrap breaks lines at spaces: names, paths and commands stay whole. A width of
// zero breaks nothing.
func Wrap(s string, width int) string {
	if width <= 0 {
		return s
	}
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		out = append(out, wrapLine(line, width))
	}
	return strings.Join(out, "\n")
}

func wrapLine(line string, width int) string {
	var b strings.Builder
	used := 0
	for word := range strings.SplitSeq(line, " ") {
		w := ansi.StringWidth(word)
		switch {
		case used == 0:
		case used+1+w > width:
			b.WriteByte('\n')
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += w
	}
	return b.String()
}
