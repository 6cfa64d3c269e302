package lab

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/internal/near"
)

// maxName leaves room for the prefixes and suffixes of namespaces, pods and
// classes in the 63 characters that Kubernetes allows.
const maxName = 40

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// ValidName tells whether a string can be the name of a lab or of an endpoint:
// a DNS label of at most 40 characters.
func ValidName(name string) bool {
	return len(name) <= maxName && dnsLabel.MatchString(name)
}

// Validate checks the values of a lab that was not read from a file.
func (l *Lab) Validate() error { return invalid(l.validate()) }

// validator collects problems by field; Decode adds the places.
type validator struct{ problems []Problem }

func (v *validator) add(field, format string, args ...any) {
	v.problems = append(v.problems, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (l *Lab) validate() []Problem {
	v := &validator{}
	v.constant("apiVersion", l.APIVersion, APIVersion)
	v.constant("kind", l.Kind, Kind)
	v.metadata(l.Metadata)
	v.texts("layer.mlops", l.Layer.MLOps)
	v.texts("layer.topics", l.Layer.Topics)
	if len(l.Analogies) == 0 {
		v.add("analogies", "needs at least one entry")
	}
	for i, a := range l.Analogies {
		v.text(fmt.Sprintf("analogies[%d].know", i), a.Know)
		v.text(fmt.Sprintf("analogies[%d].new", i), a.New)
	}
	v.names("components", l.Components)
	v.requires(l.Requires)
	if l.Seed != nil && l.Seed.Clock != "" {
		if _, err := time.Parse(time.DateOnly, l.Seed.Clock); err != nil {
			v.add("seed.clock", "is %q; a day looks like 2013-04-01", l.Seed.Clock)
		}
	}
	v.endpoints(l.Endpoints)
	v.text("next", l.Next)
	v.tasks(l)
	v.faults(l)
	v.interview(l.Interview)
	return v.problems
}

func (v *validator) metadata(m Metadata) {
	v.name("metadata.name", m.Name)
	v.line("metadata.title", m.Title)
	v.line("metadata.promise", m.Promise)
	v.upTo("metadata.level", m.Level, 4)
	v.upTo("metadata.minutes", m.Minutes, 600)
}

func (v *validator) requires(r Requires) {
	v.upTo("requires.memoryMi", r.MemoryMi, 1<<20)
	v.upTo("requires.cpu", r.CPU, 256)
	v.clusterParts("requires.cluster", r.Cluster)
	v.clusterParts("requires.clusterOptional", r.ClusterOptional)
}

func (v *validator) clusterParts(field string, list []string) {
	parts := []string{"argo-crds", "metrics-server", "model-admission"}
	for i, part := range list {
		if !slices.Contains(parts, part) {
			v.add(fmt.Sprintf("%s[%d]", field, i), "%q is not known; it can be %s%s",
				part, strings.Join(parts, ", "), near.Hint(part, parts))
		}
	}
}

func (v *validator) endpoints(list []Endpoint) {
	seen := map[string]bool{}
	for i, e := range list {
		at := fmt.Sprintf("endpoints[%d].", i)
		v.name(at+"name", e.Name)
		if e.Name != "" && seen[e.Name] {
			v.add(at+"name", "%q is there twice", e.Name)
		}
		seen[e.Name] = true
		v.line(at+"title", e.Title)
		v.name(at+"service", e.Service)
		v.upTo(at+"port", e.Port, 65535)
		if !strings.HasPrefix(e.Path, "/") {
			v.add(at+"path", "is %q; a path begins with /", e.Path)
		}
	}
}

func (v *validator) constant(field, got, want string) {
	if got != want {
		v.add(field, "must be %q, is %q", want, got)
	}
}

func (v *validator) text(field, s string) {
	if strings.TrimSpace(s) == "" {
		v.add(field, "is required")
	}
}

// line is a text that must fit into one line of a list.
func (v *validator) line(field, s string) {
	v.text(field, s)
	if strings.Contains(s, "\n") {
		v.add(field, "must be one line")
	}
}

func (v *validator) texts(field string, list []string) {
	if len(list) == 0 {
		v.add(field, "needs at least one entry")
	}
	for i, s := range list {
		v.text(fmt.Sprintf("%s[%d]", field, i), s)
	}
}

func (v *validator) name(field, s string) {
	switch {
	case s == "":
		v.add(field, "is required")
	case !ValidName(s):
		v.add(field, "is %q; a name has lower-case letters, digits and dashes, at most %d of them", s, maxName)
	}
}

func (v *validator) names(field string, list []string) {
	if len(list) == 0 {
		v.add(field, "needs at least one entry")
	}
	seen := map[string]bool{}
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		v.name(at, s)
		if seen[s] {
			v.add(at, "%q is there twice", s)
		}
		seen[s] = true
	}
}

// upTo is for a number that must be given and is at least one.
func (v *validator) upTo(field string, n, high int) {
	switch {
	case n == 0:
		v.add(field, "is required (1 to %d)", high)
	case n < 0 || n > high:
		v.add(field, "is %d; it can be 1 to %d", n, high)
	}
}
