package ui_test

import (
	"testing"

	"labctl.dev/labctl/pkg/ui"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in    string
		width int
		want  string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 7, "one two\nthree"},
		{"one two three", 100, "one two three"},
		{"a models:/flight-delay/2 b", 5, "a\nmodels:/flight-delay/2\nb"},
		{"one\ntwo three", 5, "one\ntwo\nthree"},
		{ui.NewStyle(true).Bad("one") + " two", 7, ui.NewStyle(true).Bad("one") + " two"},
	}
	for _, tt := range tests {
		if got := ui.Wrap(tt.in, tt.width); got != tt.want {
			t.Errorf("Wrap(%q, %d) = %q, want %q", tt.in, tt.width, got, tt.want)
		}
	}
}

func TestStyle(t *testing.T) {
	t.Parallel()
	plain, color := ui.NewStyle(false), ui.NewStyle(true)
	for name, f := range map[string][2]func(string) string{
		"OK": {plain.OK, color.OK}, "Bad": {plain.Bad, color.Bad}, "Warn": {plain.Warn, color.Warn}, "Busy": {plain.Busy, color.Busy}, "Dim": {plain.Dim, color.Dim},
	} {
		if got := f[0]("x"); got != "x" {
			t.Errorf("%s without colour gives %q", name, got)
		}
		if got := f[1]("x"); got == "x" || f[1]("") != "" {
			t.Errorf("%s with colour gives %q", name, got)
		}
	}
}
