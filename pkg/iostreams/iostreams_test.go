package iostreams

import (
	"fmt"
	"strings"
	"testing"
)

// env makes a lookup function of "KEY=value" pairs.
func env(pairs ...string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == key {
				return v, true
			}
		}
		return "", false
	}
}

func TestSmart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		env  []string
		goos string
		want bool
	}{
		{[]string{"TERM=xterm-256color"}, "linux", true},
		{[]string{"TERM=dumb"}, "linux", false},
		{nil, "linux", false},
		{nil, "windows", true},
		{[]string{"TERM=dumb"}, "windows", false},
		{[]string{"TERM=xterm", "CI=true"}, "linux", false},
		{[]string{"CI=1"}, "windows", false},
		{[]string{"TERM=xterm", "CI=false"}, "linux", true},
		{[]string{"TERM=xterm", "CI="}, "linux", true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.goos, tt.env), func(t *testing.T) {
			t.Parallel()
			if got := smart(env(tt.env...), tt.goos); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestColorAllowed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		env  []string
		want bool
	}{
		{nil, true},
		{[]string{"NO_COLOR="}, true},
		{[]string{"NO_COLOR=1"}, false},
		{[]string{"NO_COLOR=false"}, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.env), func(t *testing.T) {
			t.Parallel()
			if got := colorAllowed(env(tt.env...)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTestStreams(t *testing.T) {
	t.Parallel()
	s, _, _, _ := Test()
	if s.InTTY() || s.OutTTY() || s.ErrTTY() || s.Color() || s.Width() != defaultWidth {
		t.Errorf("buffers look like a terminal: %+v", s)
	}
	s.SetTTY(true)
	if !s.InTTY() || !s.OutTTY() || !s.ErrTTY() {
		t.Errorf("no terminal: %+v", s)
	}
	if _, _, err := s.Raw(t.Context()); err == nil {
		t.Error("a buffer was taken over as a terminal")
	}
}
