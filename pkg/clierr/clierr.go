// Package clierr holds the errors that a person reads: what failed, why, and
// what to do about it, together with the public exit codes.
//
// It is not for errors that only code looks at; those are plain sentinels in
// the package that returns them.
package clierr

import (
	"errors"
	"fmt"
	"strings"
)

// Exit codes of the labctl command. They are public: scripts rely on them.
const (
	CodeOK          = 0   // done
	CodeFailed      = 1   // failed
	CodeUsage       = 2   // wrong flags or arguments
	CodeCheck       = 3   // a check failed, a state is not as it must be, or lint found something
	CodeUnfit       = 4   // the machine is not fit
	CodeInterrupted = 130 // stopped by Ctrl-C or SIGTERM
)

// ErrInterrupted is the cause of everything that ends because the user asked
// for it with Ctrl-C or SIGTERM.
var ErrInterrupted = errors.New("interrupted")

// Error is an error with advice. Op says what was being done, Err why it
// failed, Hint what to do next. Detail is longer evidence such as the last
// lines of a log; it is printed indented below the message.
type Error struct {
	Op     string
	Err    error
	Hint   string
	Detail string
	// Code is the exit code; zero means CodeFailed.
	Code int
	// ID is a stable identifier that `labctl explain` and scripts understand,
	// for example "engine-down". It may be empty.
	ID string
}

// Error gives "op: why" on one line; hint and detail are for renderers.
func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Op
	case e.Op == "":
		return e.Err.Error()
	default:
		return e.Op + ": " + e.Err.Error()
	}
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an Error with a hint. The format is that of fmt.Errorf, so %w keeps
// the cause.
func New(hint, format string, args ...any) *Error {
	return &Error{Err: fmt.Errorf(format, args...), Hint: hint}
}

// Wrap adds what was being done and a hint to err. A hint that err already
// carries wins, because the place that knows the cause knows the cure.
func Wrap(err error, op, hint string) error {
	if err == nil {
		return nil
	}
	w := &Error{Op: op, Err: err, Hint: hint}
	var inner *Error
	if errors.As(err, &inner) {
		w.Code, w.ID, w.Detail = inner.Code, inner.ID, inner.Detail
		if inner.Hint != "" {
			w.Hint = inner.Hint
		}
	}
	return w
}

// Usage makes an error for wrong flags or arguments (exit code 2).
func Usage(hint, format string, args ...any) *Error {
	e := New(hint, format, args...)
	e.Code = CodeUsage
	return e
}

// Unfit makes an error for a machine that can't do what is asked (exit code 4).
func Unfit(id, hint, format string, args ...any) *Error {
	e := New(hint, format, args...)
	e.Code, e.ID = CodeUnfit, id
	return e
}

// Code gives the exit code for err.
func Code(err error) int {
	var e *Error
	switch {
	case err == nil:
		return CodeOK
	case errors.Is(err, ErrInterrupted):
		return CodeInterrupted
	case errors.As(err, &e) && e.Code != 0:
		return e.Code
	default:
		return CodeFailed
	}
}

// Report is what a renderer needs to show an error; it is also its JSON form.
type Report struct {
	ID     string `json:"id,omitempty"`
	Error  string `json:"error"`
	Hint   string `json:"hint,omitempty"`
	Detail string `json:"detail,omitempty"`
	Code   int    `json:"code"`
}

// Describe flattens err for display.
func Describe(err error) Report {
	r := Report{Error: strings.TrimSpace(err.Error()), Code: Code(err)}
	var e *Error
	if errors.As(err, &e) {
		r.ID, r.Hint, r.Detail = e.ID, e.Hint, strings.TrimRight(e.Detail, "\n")
	}
	return r
}
