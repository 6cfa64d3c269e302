package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Limits of a lab.yaml. It may come from somebody else, and is read before
// anything in it is trusted.
const (
	MaxSize  = 1 << 20 // bytes
	maxNodes = 50_000
	maxDepth = 32
)

// syntaxError takes the line out of a message of the YAML library, which gives
// it in no other way.
var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// Decode reads a lab.yaml strictly, fills in defaults and validates it. The
// file name stands in messages only. The error is an *InvalidError with
// everything that is wrong, not just the first thing.
func Decode(file string, data []byte) (*Lab, error) {
	l, _, err := DecodeWithPlaces(file, data)
	return l, err
}

// DecodeWithPlaces is Decode for tools that point at a field afterwards.
func DecodeWithPlaces(file string, data []byte) (*Lab, *Places, error) {
	if len(data) > MaxSize {
		return nil, nil, &InvalidError{Problems: []Problem{{File: file, Message: fmt.Sprintf("is larger than %d KiB", MaxSize>>10)}}}
	}
	root, err := parse(file, data)
	if err != nil {
		return nil, nil, err
	}
	if p := measure(root); p != nil {
		p.File = file
		return nil, nil, &InvalidError{Problems: []Problem{*p}}
	}
	w := &walker{file: file, places: &Places{keys: map[string]position{}, values: map[string]*yaml.Node{}}}
	w.walk(root, reflect.TypeFor[Lab](), "")
	if len(w.problems) > 0 {
		return nil, nil, invalid(w.problems)
	}
	l := &Lab{}
	if err := root.Decode(l); err != nil {
		return nil, nil, &InvalidError{Problems: []Problem{syntaxProblem(file, err)}}
	}
	l.setDefaults()
	problems := l.validate()
	for i, p := range problems {
		problems[i].File = file
		problems[i].Line, problems[i].Column = w.places.Find(p.Field)
	}
	if err := invalid(problems); err != nil {
		return nil, nil, err
	}
	return l, w.places, nil
}

// parse gives the root of the file's only document.
func parse(file string, data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, &InvalidError{Problems: []Problem{{File: file, Message: "the file is empty"}}}
	}
	if err != nil {
		return nil, &InvalidError{Problems: []Problem{syntaxProblem(file, err)}}
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	case err != nil:
		return nil, &InvalidError{Problems: []Problem{syntaxProblem(file, err)}}
	default:
		return nil, &InvalidError{Problems: []Problem{{
			File: file, Line: second.Line, Column: second.Column, Message: "a second document; a lab is one document",
		}}}
	}
}

func syntaxProblem(file string, err error) Problem {
	p := Problem{File: file, Message: err.Error()}
	if m := syntaxError.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1]) // an empty group is line 0: not known
		p.Message = m[2]
	}
	return p
}

// measure refuses trees that no author writes. It does not follow aliases, so
// it sees every node once.
func measure(root *yaml.Node) *Problem {
	nodes := 0
	var visit func(n *yaml.Node, depth int) *Problem
	visit = func(n *yaml.Node, depth int) *Problem {
		nodes++
		switch {
		case nodes > maxNodes:
			return &Problem{Line: n.Line, Column: n.Column, Message: fmt.Sprintf("has more than %d values", maxNodes)}
		case depth > maxDepth:
			return &Problem{Line: n.Line, Column: n.Column, Message: fmt.Sprintf("is nested deeper than %d levels", maxDepth)}
		}
		for _, child := range n.Content {
			if p := visit(child, depth+1); p != nil {
				return p
			}
		}
		return nil
	}
	return visit(root, 1)
}

// UnmarshalYAML takes a single text for a list of one case.
func (f *Fail) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*f = Fail{{Text: n.Value}}
		return nil
	}
	return n.Decode((*[]FailCase)(f))
}
