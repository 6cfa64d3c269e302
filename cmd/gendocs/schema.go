package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/docs/schema"
	"labctl.dev/labctl/pkg/lab"
)

// object is a piece of a JSON Schema. encoding/json sorts its keys, so the
// file is the same each time.
type object = map[string]any

// writeSchema writes the JSON Schema of lab.yaml. Its fields and their
// descriptions come from the Go types in dir, what a value must look like from
// rules.
func writeSchema(source, dir string) error {
	comments, err := readComments(source)
	if err != nil {
		return err
	}
	g := &generator{comments: comments, definitions: object{}}
	root := g.structure(reflect.TypeFor[lab.Lab]())
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["$id"] = "https://labctl.dev/schema/" + schema.FileName
	root["title"] = "lab.yaml of labctl, " + lab.APIVersion
	root["definitions"] = g.definitions
	if unknown := g.unused(); len(unknown) > 0 {
		return fmt.Errorf("rules for fields that are not there: %s", strings.Join(unknown, ", "))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, schema.FileName), b.Bytes(), 0o644) //nolint:gosec // it is published
}

// readComments gives the comments of a package's types ("Check") and of their
// fields ("Check.Points").
func readComments(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no Go files in %s", dir)
	}
	comments := map[string]string{}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				continue
			}
			for _, s := range decl.Specs {
				readType(comments, decl, s.(*ast.TypeSpec)) //nolint:forcetypeassert // a type declaration has nothing else
			}
		}
	}
	return comments, nil
}

func readType(comments map[string]string, decl *ast.GenDecl, spec *ast.TypeSpec) {
	text := func(groups ...*ast.CommentGroup) string {
		for _, g := range groups {
			if s := strings.TrimSpace(g.Text()); s != "" {
				return strings.Join(strings.Fields(s), " ")
			}
		}
		return ""
	}
	comments[spec.Name.Name] = text(spec.Doc, decl.Doc)
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	var rename []string // the author writes deadline, the comment says Deadline
	for _, f := range structure.Fields.List {
		for _, n := range f.Names {
			rename = append(rename, n.Name)
			comments[spec.Name.Name+"."+n.Name] = text(f.Doc, f.Comment)
		}
	}
	names := regexp.MustCompile(`\b(` + strings.Join(rename, "|") + `)\b`)
	for _, n := range append(rename, "") {
		key := strings.TrimSuffix(spec.Name.Name+"."+n, ".")
		comments[key] = names.ReplaceAllStringFunc(comments[key], func(s string) string {
			if s == spec.Name.Name {
				return s // the type itself
			}
			return "`" + strings.ToLower(s[:1]) + s[1:] + "`"
		})
	}
}

type generator struct {
	comments    map[string]string
	definitions object
	ruled       []string
}

// structure describes a struct type.
func (g *generator) structure(t reflect.Type) object {
	s := object{"type": "object", "additionalProperties": false}
	if text := g.comments[t.Name()]; text != "" {
		s["description"] = text
	}
	properties, required := object{}, []string{}
	g.fields(t, properties, &required)
	s["properties"] = properties
	if len(required) > 0 {
		slices.Sort(required)
		s["required"] = required
	}
	if choices := choices(t); len(choices) > 0 {
		var one []object
		for _, c := range choices {
			one = append(one, object{"required": []string{c}})
		}
		s["oneOf"] = one
	}
	return s
}

func (g *generator) fields(t reflect.Type, properties object, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if options == "inline" {
			g.fields(f.Type, properties, required)
			continue
		}
		p := g.value(f.Type)
		if text := g.comments[t.Name()+"."+f.Name]; text != "" {
			if _, ref := p["$ref"]; ref {
				// In draft 7 nothing counts beside a $ref.
				p = object{"allOf": []object{p}}
			}
			p["description"] = text
		}
		key := t.Name() + "." + name
		if rule, ok := rules()[key]; ok {
			g.ruled = append(g.ruled, key)
			if rule.required {
				*required = append(*required, name)
			}
			maps.Copy(p, rule.more)
		}
		properties[name] = p
	}
}

// value describes a value of a type.
func (g *generator) value(t reflect.Type) object {
	switch {
	case t.Kind() == reflect.Pointer:
		return g.value(t.Elem())
	case t == reflect.TypeFor[time.Duration]():
		return object{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`}
	case t == reflect.TypeFor[lab.Fail]():
		return object{"oneOf": []object{
			{"type": "string", "minLength": 1},
			{"type": "array", "minItems": 1, "items": g.value(t.Elem())},
		}}
	}
	switch t.Kind() {
	case reflect.Struct:
		if _, ok := g.definitions[t.Name()]; !ok {
			g.definitions[t.Name()] = object{} // stops a circle
			g.definitions[t.Name()] = g.structure(t)
		}
		return object{"$ref": "#/definitions/" + t.Name()}
	case reflect.Slice:
		return object{"type": "array", "items": g.value(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.value(t.Elem())}
	case reflect.Int:
		return object{"type": "integer"}
	case reflect.Bool:
		return object{"type": "boolean"}
	default:
		return object{"type": "string"}
	}
}

// choices are the fields of which exactly one must be there.
func choices(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[lab.Probe](), reflect.TypeFor[lab.Check](), reflect.TypeFor[lab.Wait]():
		return lab.ProbeKinds()
	case reflect.TypeFor[lab.MLflowProbe](), reflect.TypeFor[lab.Step]():
		var names []string
		for f := range t.Fields() {
			names = append(names, f.Tag.Get("yaml"))
		}
		return names
	default:
		return nil
	}
}

func (g *generator) unused() []string {
	var unused []string
	for key := range rules() {
		if !slices.Contains(g.ruled, key) {
			unused = append(unused, key)
		}
	}
	slices.Sort(unused)
	return unused
}
