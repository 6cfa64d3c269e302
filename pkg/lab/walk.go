package lab

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"labctl.dev/labctl/pkg/internal/near"
)

// walker compares a YAML tree with the Go type it is meant for. The library's
// own strict mode stops at the first mistake, gives no column and can't name
// the field that was meant.
type walker struct {
	file     string
	problems []Problem
	places   *Places
}

func (w *walker) problem(n *yaml.Node, path, format string, args ...any) {
	w.problems = append(w.problems, Problem{
		File: w.file, Line: n.Line, Column: n.Column, Field: path, Message: fmt.Sprintf(format, args...),
	})
}

func (w *walker) walk(n *yaml.Node, t reflect.Type, path string) {
	if _, ok := w.places.keys[path]; !ok {
		w.places.keys[path] = position{n.Line, n.Column}
	}
	w.places.values[path] = n
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.Kind == yaml.AliasNode:
		// Nested aliases can make a small file huge.
		w.problem(n, path, "aliases are not allowed; write the value out")
	case n.Tag == "!!null":
		// An empty value counts as left out; validation says whether it may be.
	case t == reflect.TypeFor[time.Duration]():
		w.walkDuration(n, path)
	case t == reflect.TypeFor[Fail]() && n.Kind == yaml.ScalarNode:
		// One text instead of a list of cases.
		w.walkScalar(n, reflect.TypeFor[string](), path)
	case t.Kind() == reflect.Struct:
		w.walkStruct(n, t, path)
	case t.Kind() == reflect.Map:
		w.walkMap(n, t, path)
	case t.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			w.problem(n, path, "must be a list, is %s", describe(n))
			return
		}
		for i, item := range n.Content {
			w.walk(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		w.walkScalar(n, t, path)
	}
}

func (w *walker) walkStruct(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.MappingNode {
		w.problem(n, path, "must be a mapping, is %s", describe(n))
		return
	}
	fields, names := fieldsOf(t)
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		field, known := fields[key.Value]
		switch {
		case seen[key.Value]:
			w.problem(key, at, "is there twice")
		case !known:
			w.problem(key, at, "unknown field%s", near.Hint(key.Value, names))
		default:
			w.places.keys[at] = position{key.Line, key.Column}
			w.walk(value, field, at)
		}
		seen[key.Value] = true
	}
}

// walkMap is for mappings whose keys the author chooses.
func (w *walker) walkMap(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.MappingNode {
		w.problem(n, path, "must be a mapping, is %s", describe(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		switch {
		case seen[key.Value]:
			w.problem(key, at, "is there twice")
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			w.problem(key, at, "a key must be text, is %s", describe(key))
		default:
			w.places.keys[at] = position{key.Line, key.Column}
			w.walk(value, t.Elem(), at)
		}
		seen[key.Value] = true
	}
}

func (w *walker) walkDuration(n *yaml.Node, path string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		if d, err := time.ParseDuration(n.Value); err == nil && d > 0 {
			return
		}
	}
	w.problem(n, path, "must be a duration such as 90s, is %s", describe(n))
}

func (w *walker) walkScalar(n *yaml.Node, t reflect.Type, path string) {
	var want, tag string
	switch t.Kind() {
	case reflect.Int:
		want, tag = "a whole number", "!!int"
	case reflect.Bool:
		want, tag = "true or false", "!!bool"
	default:
		want, tag = "text", "!!str"
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != tag && tag == "!!str":
		w.problem(n, path, "must be text, is %s; put it in quotes", describe(n))
	case n.Kind != yaml.ScalarNode || n.Tag != tag:
		w.problem(n, path, "must be %s, is %s", want, describe(n))
	case strings.ContainsFunc(n.Value, isControl):
		// It would end up on somebody's terminal.
		w.problem(n, path, "has control characters")
	}
}

func isControl(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

// fieldsOf gives the YAML names of a struct's fields with their types.
func fieldsOf(t reflect.Type) (fields map[string]reflect.Type, names []string) {
	fields = map[string]reflect.Type{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if options == "inline" {
			inner, more := fieldsOf(f.Type)
			maps.Copy(fields, inner)
			names = append(names, more...)
			continue
		}
		fields[name] = f.Type
		names = append(names, name)
	}
	return fields, names
}

// describe names a value as its author sees it.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return fmt.Sprintf("%q", n.Value)
	}
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}
