// Package schema holds the JSON Schema of lab.yaml, for editors. It is written
// by `make generate` from the types of pkg/lab, and is not for validating labs:
// that is pkg/lab, which sees more.
package schema

import _ "embed"

// FileName is the name of the schema.
const FileName = "lab.v1alpha1.json"

// Lab is the schema.
//
//go:embed lab.v1alpha1.json
var Lab []byte
