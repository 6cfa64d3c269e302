package lab

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Places tells where the fields of a lab.yaml stand in the file.
type Places struct {
	keys   map[string]position
	values map[string]*yaml.Node
}

type position struct{ line, column int }

// Find gives the line and column of a field, as "tasks[0].brief", or those of
// the nearest one around it when the field is missing.
func (p *Places) Find(field string) (line, column int) {
	for {
		if at, ok := p.keys[field]; ok {
			return at.line, at.column
		}
		i := strings.LastIndexAny(field, ".[")
		if i < 0 {
			return p.keys[""].line, p.keys[""].column
		}
		field = field[:i]
	}
}

// Inside gives the place of a line and column within the text of a field.
// Where the text is written in a way that does not tell, it is that of the field.
func (p *Places) Inside(field string, line, column int) (int, int) {
	n, ok := p.values[field]
	if !ok {
		return p.Find(field)
	}
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		// The text begins on the line after the |; how far in is not kept.
		return n.Line + line, 1
	case line > 1 || n.Style&yaml.FoldedStyle != 0:
		return n.Line, n.Column
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return n.Line, n.Column + column
	default:
		return n.Line, n.Column + column - 1
	}
}
