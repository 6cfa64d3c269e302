// Package near finds the names that a user may have meant. It is not for
// searching: it looks at short lists of names only.
package near

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// most is how many names a person still reads.
const most = 3

// Names gives the candidates that are close to name, the closest first.
func Names(name string, candidates []string) []string {
	type match struct {
		name     string
		distance int
	}
	name = strings.ToLower(name)
	limit := max(2, len(name)/3)
	var matches []match
	for _, c := range candidates {
		lower := strings.ToLower(c)
		d := levenshtein.ComputeDistance(name, lower)
		// A long name is often given by a part of it.
		if d > limit && len(name) >= 3 && strings.Contains(lower, name) {
			d = limit
		}
		if d <= limit && d < max(len(name), len(lower)) {
			matches = append(matches, match{c, d})
		}
	}
	slices.SortFunc(matches, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, m := range matches[:min(most, len(matches))] {
		names = append(names, m.name)
	}
	return names
}

// Hint gives "; did you mean a or b?", or nothing without a match.
func Hint(name string, candidates []string) string {
	names := Names(name, candidates)
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(names, " or ") + "?"
}
