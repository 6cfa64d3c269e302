// Package explain answers "what is that?": for words of MLOps, for labs, tasks
// and checks, and for the ids of findings and errors. It works without a
// cluster.
//
// It is not for the state of a lab (pkg/practice), nor for what there is to do
// in a task: that is its brief.
package explain

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor/known"
	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/lab"
)

// Kind says what an entry is about.
type Kind string

// The kinds of entries.
const (
	Term    Kind = "term"
	Lab     Kind = "lab"
	Task    Kind = "task"
	Check   Kind = "check"
	Finding Kind = "finding" // of labctl doctor
	Error   Kind = "error"   // known errors of engines and clusters
)

// Entry is one thing that is explained.
type Entry struct {
	Kind  Kind   `json:"kind"`
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
	// Know is what the reader knows already.
	Know string `json:"know,omitempty"`
	// Text is Markdown.
	Text string   `json:"text"`
	Also []string `json:"also,omitempty"`
	See  []string `json:"see,omitempty"`
}

// term is an entry of the glossary's file.
type term struct {
	Term string   `json:"term"`
	Also []string `json:"also"`
	Know string   `json:"know"`
	Text string   `json:"text"`
	See  []string `json:"see"`
}

//go:embed glossary.yaml
var glossary []byte

// Book holds all entries.
type Book struct{ entries []Entry }

// New makes the Book of these labs and of doctor's page, whose sections are
// named by the ids of findings.
func New(labs []*lab.Lab, doctor string) (*Book, error) {
	var terms []term
	if err := yaml.UnmarshalStrict(glossary, &terms); err != nil {
		return nil, fmt.Errorf("read the glossary: %w", err)
	}
	b := &Book{}
	for _, t := range terms {
		b.entries = append(b.entries, Entry{Kind: Term, Name: t.Term, Know: t.Know, Text: t.Text, Also: t.Also, See: t.See})
	}
	for _, l := range labs {
		b.entries = append(b.entries, ofLab(l)...)
	}
	findings := sections(doctor)
	b.entries = append(b.entries, findings...)
	for _, id := range known.IDs() {
		if !slices.ContainsFunc(findings, func(e Entry) bool { return e.Name == id }) {
			b.entries = append(b.entries, Entry{Kind: Error, Name: id, Text: strings.Join(known.Advice(id), "\n\n")})
		}
	}
	return b, nil
}

// Names gives the names of a kind, in their order.
func (b *Book) Names(k Kind) []string {
	var names []string
	for _, e := range b.entries {
		if e.Kind == k {
			names = append(names, e.Name)
		}
	}
	return names
}

// Find gives the entries of a name, in any case; two labs may have a task of the
// same name. The error has near matches.
func (b *Book) Find(name string) ([]Entry, error) {
	key := fold(name)
	var found []Entry
	for _, e := range b.entries {
		if fold(e.Name) == key {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		for _, e := range b.entries {
			if slices.ContainsFunc(e.Also, func(a string) bool { return fold(a) == key }) {
				found = append(found, e)
			}
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	var names []string
	for _, e := range b.entries {
		names = append(names, e.Name)
		names = append(names, e.Also...)
	}
	return nil, &clierr.Error{
		Err: fmt.Errorf("nothing is known about %q%s", name, near.Hint(name, names)), Code: clierr.CodeUsage, ID: "unknown-topic",
		Hint: "labctl explain lists everything",
	}
}

// fold makes spellings equal: "Model Registry", "model-registry".
func fold(s string) string {
	return strings.NewReplacer("-", " ", "_", " ").Replace(strings.ToLower(strings.TrimSpace(s)))
}

// sections gives the sections of doctor's page that are named by an id.
func sections(page string) []Entry {
	var list []Entry
	var current *Entry
	for line := range strings.Lines(page) {
		switch name, heading := strings.CutPrefix(line, "### "); {
		case heading:
			list = append(list, Entry{Kind: Finding, Name: strings.TrimSpace(name)})
			current = &list[len(list)-1]
		case strings.HasPrefix(line, "#"):
			current = nil
		case current != nil:
			current.Text += line
		}
	}
	// A heading may stand for several ids: "### disk, memory".
	var out []Entry
	for _, e := range list {
		for name := range strings.SplitSeq(e.Name, ",") {
			one := e
			one.Name, one.Text = strings.Trim(strings.TrimSpace(name), "`"), strings.TrimSpace(e.Text)
			out = append(out, one)
		}
	}
	return out
}
