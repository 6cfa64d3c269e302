package check

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"labctl.dev/labctl/pkg/clierr"
)

const (
	// maxValue and maxMessage are in characters.
	maxValue   = 160
	maxMessage = 240
)

var placeholder = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// render fills in the values of a message. Names that it does not have stay.
func render(message string, values map[string]any, where string) string {
	return oneLine(placeholder.ReplaceAllStringFunc(message, func(match string) string {
		name := match[1 : len(match)-1]
		if v, ok := values[name]; ok {
			return text(v)
		}
		switch name {
		case "where":
			return where
		case "found", "expected":
			return text(nil)
		default:
			return match
		}
	}))
}

// text writes a value for people.
func text(v any) string { return cut(oneLine(write(v)), maxValue) }

func write(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		if v == "" {
			return `""`
		}
		return v
	case float64:
		return number(v)
	case []any:
		if len(v) == 0 {
			return "none"
		}
		parts := make([]string, 0, len(v))
		for _, item := range v[:min(len(v), maxValue)] {
			parts = append(parts, write(item))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		if len(v) == 0 {
			return "none"
		}
		keys := slices.Sorted(maps.Keys(v))
		parts := make([]string, 0, len(v))
		for _, key := range keys[:min(len(keys), maxValue)] {
			parts = append(parts, key+"="+write(v[key]))
		}
		return strings.Join(parts, ", ")
	default:
		return fmt.Sprint(v)
	}
}

// number writes whole numbers without a point, and others with as many digits
// as a person compares.
func number(f float64) string {
	size := math.Abs(f)
	switch {
	case f == math.Trunc(f) && size < 1e15:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case size >= 1e15 || size < 1e-4:
		return strconv.FormatFloat(f, 'g', 4, 64)
	}
	decimals := 4
	for x := size; x < 0.1; x *= 10 {
		decimals++
	}
	for x := size; x >= 10 && decimals > 1; x /= 10 {
		decimals--
	}
	s := strconv.FormatFloat(f, 'f', decimals, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// oneLine makes a text safe for a line of a terminal.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		default:
			return r
		}
	}, s)
	return strings.TrimSpace(s)
}

// cut shortens a text to a number of characters.
func cut(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return strings.TrimRight(string(runes[:most-1]), " ") + "…"
}

// fit shortens a message; the detail then has all of it.
func fit(message string, detail []string) (short, long string) {
	short = cut(message, maxMessage)
	if short != message {
		detail = append([]string{message}, detail...)
	}
	return short, strings.Join(detail, "\n")
}

// sentence makes one of a part.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if first == utf8.RuneError {
		return s
	}
	s = string(unicode.ToUpper(first)) + s[size:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?…") {
		s += "."
	}
	return s
}

// add puts a remark behind the message if there is room, and into the detail in
// any case.
func (r *Result) add(remark string) {
	remark = sentence(oneLine(remark))
	const least = 40 // less says nothing
	if room := maxMessage - utf8.RuneCountInString(r.Message) - 1; room >= least {
		r.Message = strings.TrimSpace(r.Message + " " + cut(remark, room))
	}
	if !strings.Contains(r.Message, remark) {
		r.Detail = strings.TrimSpace(r.Detail + "\n" + remark)
	}
}

// advice takes the hint and the evidence out of an error.
func advice(err error, detail string) (look, more string) {
	var known *clierr.Error
	if !errors.As(err, &known) {
		return "", detail
	}
	return known.Hint, strings.TrimSpace(detail + "\n" + known.Detail)
}
