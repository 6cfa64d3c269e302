package receipt

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// longest is how much of a value a receipt holds.
const longest = 2048

// hidden stands where a secret was.
const hidden = "[redacted]"

// shortest is the length from which a known secret is looked for: shorter ones
// are words that occur anywhere.
const shortest = 6

type redactor struct {
	known    *strings.Replacer
	patterns []pattern
}

type pattern struct {
	re *regexp.Regexp
	to string
}

// newRedactor knows these secrets by their value, and others by their look.
func newRedactor(secrets []string) *redactor {
	list := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(strings.TrimSpace(s)) < shortest })
	// The longest first: one secret may be a part of another.
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range list {
		pairs = append(pairs, s, hidden)
	}
	r := &redactor{known: strings.NewReplacer(pairs...)}
	for _, p := range []struct{ re, to string }{
		{`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`, hidden},
		{`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@:]*:[^\s/@]+@`, "${1}" + hidden + "@"},
		{`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`, hidden},
		{`\b(AKIA|ASIA)[A-Z0-9]{16}\b`, hidden},
		{`(?i)\b(bearer|basic)\s+[a-z0-9+/=_.~-]{8,}`, "${1} " + hidden},
		{`(?i)("?[a-z0-9_.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[a-z0-9_.-]*"?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;}\]]+)`, "${1}" + hidden},
	} {
		r.patterns = append(r.patterns, pattern{regexp.MustCompile(p.re), p.to})
	}
	return r
}

// clean gives a text without secrets and not longer than a receipt holds.
func (r *redactor) clean(s string) string {
	s = r.known.Replace(s)
	for _, p := range r.patterns {
		s = p.re.ReplaceAllString(s, p.to)
	}
	if len(s) <= longest {
		return s
	}
	cut := longest
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes cut)", s[:cut], len(s)-cut)
}
