// Package markdown shows Markdown on a terminal: wrapped, with headings, lists,
// tables and code that can be told apart.
//
// It knows what briefs and glossaries use, is no pager, and does not colour the
// syntax of code: a parser of its own for that would be ten times its size.
package markdown

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"labctl.dev/labctl/pkg/ui"
)

// widest is the longest line: longer ones are hard to read on wide terminals.
const widest = 100

// Render gives Markdown as text for a terminal of that width. Without colour it
// holds no escape sequences.
// Control characters of the source are left out: they would reach the terminal.
func Render(source []byte, width int, color bool) string {
	source = bytes.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, source)
	doc := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough)).Parser().Parse(text.NewReader(source))
	r := &renderer{source: source, color: color}
	var b strings.Builder
	b.WriteString(r.blocks(doc, max(20, min(width, widest))))
	return strings.TrimRight(b.String(), "\n") + "\n"
}

type renderer struct {
	source []byte
	color  bool
}

// paint sets off a piece of text.
func (r *renderer) paint(s string, attrs ...ansi.Attr) string {
	if !r.color || s == "" {
		return s
	}
	return ansi.NewStyle(attrs...).Styled(s)
}

// blocks renders the children of a node, with an empty line between them unless
// the node is a tight list's item.
func (r *renderer) blocks(parent ast.Node, width int) string {
	var parts []string
	sep := "\n\n"
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if n.Kind() == ast.KindTextBlock {
			sep = "\n"
		}
		if s := r.block(n, width); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, sep)
}

func (r *renderer) block(n ast.Node, width int) string {
	switch n := n.(type) {
	case *ast.Heading:
		if !r.color {
			return strings.Repeat("#", n.Level) + " " + r.inline(n)
		}
		return r.paint(ui.Wrap(r.inline(n), width), ansi.AttrBold)
	case *ast.Paragraph, *ast.TextBlock:
		return ui.Wrap(r.inline(n), width)
	case *ast.List:
		return r.list(n, width)
	case *ast.Blockquote:
		return prefix("│ ", "│ ", r.blocks(n, width-2))
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		return r.code(n)
	case *ast.ThematicBreak:
		return strings.Repeat("─", width)
	case *extast.Table:
		return r.table(n)
	case *ast.HTMLBlock:
		return "" // comments of the author
	default:
		return r.blocks(n, width)
	}
}

// code is shown as it is written: it is to be copied.
func (r *renderer) code(n ast.Node) string {
	var b strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		b.WriteString("    " + r.paint(strings.TrimRight(string(line.Value(r.source)), "\n"), ansi.AttrCyanForegroundColor) + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func (r *renderer) list(l *ast.List, width int) string {
	var items []string
	number := l.Start
	for n := l.FirstChild(); n != nil; n = n.NextSibling() {
		mark := "• "
		if l.IsOrdered() {
			mark = fmt.Sprintf("%d. ", number)
			number++
		}
		indent := strings.Repeat(" ", ansi.StringWidth(mark))
		items = append(items, prefix(mark, indent, r.blocks(n, width-len(indent))))
	}
	if l.IsTight {
		return strings.Join(items, "\n")
	}
	return strings.Join(items, "\n\n")
}

// table aligns the columns. A table that is wider than the terminal is not
// folded: the terminal does it, and nothing is lost.
func (r *renderer) table(t *extast.Table) string {
	var rows [][]string
	var widths []int
	for n := t.FirstChild(); n != nil; n = n.NextSibling() {
		var row []string
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			cell := r.inline(c)
			if n.Kind() == extast.KindTableHeader {
				cell = r.paint(cell, ansi.AttrBold)
			}
			if len(row) == len(widths) {
				widths = append(widths, 0)
			}
			widths[len(row)] = max(widths[len(row)], ansi.StringWidth(cell))
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	var b strings.Builder
	for i, row := range rows {
		var line strings.Builder
		for j, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[j]-ansi.StringWidth(cell)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if i == 0 {
			for j, w := range widths {
				b.WriteString(strings.Repeat("─", w))
				if j < len(widths)-1 {
					b.WriteString("  ")
				}
			}
			b.WriteString("\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// inline renders the text of a block without breaking it.
func (r *renderer) inline(parent ast.Node) string {
	var b strings.Builder
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Segment.Value(r.source))
			switch {
			case n.HardLineBreak():
				b.WriteByte('\n')
			case n.SoftLineBreak():
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.CodeSpan:
			b.WriteString(r.span(r.inline(n)))
		case *ast.Emphasis:
			attr := ansi.AttrItalic
			if n.Level > 1 {
				attr = ansi.AttrBold
			}
			b.WriteString(r.paint(r.inline(n), attr))
		case *ast.Link:
			label, to := r.inline(n), string(n.Destination)
			b.WriteString(label)
			if label != to {
				b.WriteString(" (" + to + ")")
			}
		case *ast.AutoLink:
			b.Write(n.URL(r.source))
		case *ast.RawHTML:
		default:
			b.WriteString(r.inline(n))
		}
	}
	return b.String()
}

// span keeps the ticks where colour can't set code off.
func (r *renderer) span(s string) string {
	if !r.color {
		return "`" + s + "`"
	}
	return r.paint(s, ansi.AttrCyanForegroundColor)
}

// prefix puts one text before the first line, another before the rest.
func prefix(first, rest, s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		p := rest
		if i == 0 {
			p = first
		}
		lines[i] = strings.TrimRight(p+l, " ")
	}
	return strings.Join(lines, "\n")
}
