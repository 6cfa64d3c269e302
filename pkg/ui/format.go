package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Format is how results are printed.
type Format string

// The formats. Text is for people, JSON one document for programs.
const (
	Text Format = "text"
	JSON Format = "json"
)

// String, Set and Type make Format a flag value.
func (f *Format) String() string { return string(*f) }

// Set takes "text" or "json".
func (f *Format) Set(s string) error {
	switch Format(s) {
	case Text, JSON:
		*f = Format(s)
		return nil
	default:
		return errors.New("must be text or json")
	}
}

// Type names the flag's kind in help texts.
func (f *Format) Type() string { return "format" }

// Write prints one result: as an indented JSON document, or as text by way of
// the given function.
func Write(w io.Writer, f Format, result any, text func(io.Writer) error) error {
	if f != JSON {
		return text(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(result); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// Duration gives a duration as people say it: "0.4s", "12.3s", "2m05s".
func Duration(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}

// Size gives bytes in the unit that registries and engines use.
func Size(n int64) string {
	const mb = 1000 * 1000
	if n < mb {
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/mb)
}

// progress gives "12/40 MB", "3/7" or nothing.
func progress(e Event) string {
	switch {
	case e.Total <= 0:
		return ""
	case e.Unit == Bytes:
		return fmt.Sprintf("%s of %s", Size(e.Done), Size(e.Total))
	default:
		return fmt.Sprintf("%d/%d", e.Done, e.Total)
	}
}

// join puts the non-empty parts together.
func join(sep string, parts ...string) string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, sep)
}
