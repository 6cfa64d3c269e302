// Package iostreams carries the three standard streams and what is known about
// them: is it a terminal, how wide, may it show colour. It draws nothing.
package iostreams

import (
	"bytes"
	"io"
	"os"
	"runtime"

	"golang.org/x/term"
)

// defaultWidth is used where the width of a terminal can't be read.
const defaultWidth = 80

// Streams are the streams of one run. Results go to Out, everything else to
// ErrOut.
type Streams struct {
	In     io.Reader
	Out    io.Writer
	ErrOut io.Writer

	outTTY, errTTY, inTTY bool
	color                 bool
	width                 func() int
}

// System makes Streams of this process. lookupEnv is os.LookupEnv but in tests.
func System(lookupEnv func(string) (string, bool)) *Streams {
	s := &Streams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	s.inTTY = term.IsTerminal(int(os.Stdin.Fd()))
	s.outTTY = term.IsTerminal(int(os.Stdout.Fd()))
	s.errTTY = term.IsTerminal(int(os.Stderr.Fd())) && smart(lookupEnv, runtime.GOOS)
	s.color = s.errTTY && colorAllowed(lookupEnv)
	s.width = func() int {
		if w, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil && w > 0 {
			return w
		}
		return defaultWidth
	}
	return s
}

// smart tells whether a terminal can redraw lines. CI systems that pretend to
// have a terminal keep every line, so they get plain lines.
func smart(lookupEnv func(string) (string, bool), goos string) bool {
	if t, ok := lookupEnv("TERM"); (ok && t == "dumb") || (!ok && goos != "windows") {
		return false
	}
	if ci, ok := lookupEnv("CI"); ok && ci != "" && ci != "false" {
		return false
	}
	return true
}

// colorAllowed follows no-color.org: any value of NO_COLOR that is not empty
// turns colour off.
func colorAllowed(lookupEnv func(string) (string, bool)) bool {
	v, ok := lookupEnv("NO_COLOR")
	return !ok || v == ""
}

// Test gives Streams on buffers, no terminal.
func Test() (s *Streams, in, out, errOut *bytes.Buffer) {
	in, out, errOut = &bytes.Buffer{}, &bytes.Buffer{}, &bytes.Buffer{}
	return &Streams{In: in, Out: out, ErrOut: errOut, width: func() int { return defaultWidth }}, in, out, errOut
}

// SetTTY makes test streams look like a terminal or not.
func (s *Streams) SetTTY(tty bool) { s.inTTY, s.outTTY, s.errTTY = tty, tty, tty }

// InTTY tells whether a person can answer questions.
func (s *Streams) InTTY() bool { return s.inTTY }

// OutTTY tells whether results go to a terminal.
func (s *Streams) OutTTY() bool { return s.outTTY }

// ErrTTY tells whether progress goes to a terminal that can redraw lines.
func (s *Streams) ErrTTY() bool { return s.errTTY }

// Color tells whether progress and messages may be coloured.
func (s *Streams) Color() bool { return s.color }

// Width is the number of columns of the terminal.
func (s *Streams) Width() int { return s.width() }
