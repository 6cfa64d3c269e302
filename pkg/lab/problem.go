package lab

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one mistake in a lab.yaml. Line and Column count from one; zero
// means that the place is not known.
type Problem struct {
	File    string
	Line    int
	Column  int
	Field   string
	Message string
}

// String gives "file:line:column: field: message", which editors can jump to.
func (p Problem) String() string {
	text := p.Message
	if p.Field != "" {
		text = p.Field + ": " + text
	}
	if place := p.Place(); place != "" {
		return place + ": " + printable(text)
	}
	return printable(text)
}

// Place gives "file:line:column", as far as they are known.
func (p Problem) Place() string {
	place := p.File
	if p.Line > 0 {
		place += fmt.Sprintf(":%d", p.Line)
		if p.Column > 0 {
			place += fmt.Sprintf(":%d", p.Column)
		}
	}
	return printable(place)
}

// printable keeps what somebody wrote into a file from moving the cursor of
// the one who reads about it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// InvalidError lists all mistakes of a lab.yaml, in the order of the file.
type InvalidError struct{ Problems []Problem }

// Error gives one problem per line.
func (e *InvalidError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// invalid gives nil without problems, else an InvalidError with sorted ones.
func invalid(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &InvalidError{Problems: problems}
}
