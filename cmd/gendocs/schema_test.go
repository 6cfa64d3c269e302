package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"labctl.dev/labctl/docs/schema"
	"labctl.dev/labctl/labs"
	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/scaffold"
)

func TestSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run([]string{"-schema", dir, "-source", filepath.Join("..", "..", "pkg", "lab")}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, schema.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, schema.Lab) {
		t.Errorf("docs/schema/%s is not current, run `make generate`", schema.FileName)
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Lab))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schema.FileName, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schema.FileName)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate holds a lab.yaml against the schema.
func validate(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	// As labctl reads it: in YAML 1.2 a name such as n is a text.
	var content any
	if err := yaml.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func example(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "pkg", "lab", "testdata", "tasks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSchemaAcceptsLabs(t *testing.T) {
	t.Parallel()
	s := compile(t)
	documents := map[string][]byte{"tasks.yaml": example(t)}
	c := catalog.New(labs.FS)
	names, err := c.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if documents[name], err = labs.FS.ReadFile(name + "/" + lab.FileName); err != nil {
			t.Fatal(err)
		}
	}
	files, err := scaffold.Files("new-lab", "x.json")
	if err != nil {
		t.Fatal(err)
	}
	documents["new-lab"] = files[lab.FileName]
	for name, data := range documents {
		if err := validate(t, s, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchemaAgreesWithValidation takes away one part of a lab after the other.
// The schema must never refuse what labctl takes, and must see every field that
// is always required.
func TestSchemaAgreesWithValidation(t *testing.T) {
	t.Parallel()
	s := compile(t)
	var whole any
	if err := yaml.Unmarshal(example(t), &whole); err != nil {
		t.Fatal(err)
	}
	cases := 0
	remove(whole, "", func(what string) {
		cases++
		data, err := yaml.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		_, decodeErr := lab.Decode("lab.yaml", data)
		schemaErr := validate(t, s, data)
		if decodeErr == nil && schemaErr != nil {
			t.Errorf("without %s labctl takes the lab, but the schema does not: %v", what, schemaErr)
		}
		var invalid *lab.InvalidError
		if !errors.As(decodeErr, &invalid) {
			return
		}
		for _, p := range invalid.Problems {
			if p.Field == what && strings.Contains(p.Message, "is required") && schemaErr == nil && !eitherOr(what) {
				t.Errorf("%s is required, but not in the schema", what)
			}
		}
	})
	if cases < 100 {
		t.Errorf("only %d parts were taken away", cases)
	}
}

// eitherOr tells whether a field is required beside one other field only: an
// artifact is that of a version or of a run. The schema leaves that to labctl.
func eitherOr(field string) bool { return strings.Contains(field, ".mlflow.artifact.") }

// remove takes each key of a document away, calls f, and puts it back.
func remove(v any, at string, f func(what string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			what := strings.TrimPrefix(at+"."+key, ".")
			remove(child, what, f)
			delete(v, key)
			f(what)
			v[key] = child
		}
	case []any:
		for i, child := range v {
			remove(child, fmt.Sprintf("%s[%d]", at, i), f)
		}
	}
}
