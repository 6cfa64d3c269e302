// Package lint looks for mistakes in a lab that its lab.yaml alone can't show:
// files that are not there, expressions that don't compile or pass on an empty
// lab, briefs that keep a name to themselves, charts that don't render.
//
// It needs no cluster and runs nothing. Whether checks see what they must see
// is for pkg/smoke, on a real lab.
package lint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"labctl.dev/labctl/pkg/lab"
)

// Severity tells whether a finding stops a lab from being published.
type Severity string

// The severities. A note is advice.
const (
	Error Severity = "error"
	Note  Severity = "note"
)

// Finding is one thing that lint has to say. Line and Column count from one;
// zero means that there is no such place.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`
	Column   int      `json:"column,omitempty"`
	Field    string   `json:"field,omitempty"`
	Message  string   `json:"message"`
}

// String gives "file:line:column: severity: field: message (id)".
func (f Finding) String() string {
	place := lab.Problem{File: f.File, Line: f.Line, Column: f.Column}.Place()
	text := lab.Problem{Field: f.Field, Message: f.Message}.String()
	return fmt.Sprintf("%s: %s: %s (%s)", place, f.Severity, text, f.ID)
}

// Errors counts the findings that are no notes.
func Errors(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Severity == Error {
			n++
		}
	}
	return n
}

// Config is what labs are held against.
type Config struct {
	// Charts has one directory per component chart.
	Charts fs.FS
	// Images are the names of all image definitions.
	Images []string
}

// Linter lints labs. It is safe for concurrent use.
type Linter struct{ cfg Config }

// New makes a Linter.
func New(cfg Config) *Linter { return &Linter{cfg: cfg} }

// run is one lab being linted.
type run struct {
	Config

	dir      string
	files    fs.FS
	lab      *lab.Lab
	places   *lab.Places
	findings []Finding
}

// Lint looks at the lab whose directory is files. dir is how the files are
// named in findings, name what the lab must be called. The error is that of a
// directory that can't be read; everything else is a finding.
func (l *Linter) Lint(ctx context.Context, dir, name string, files fs.FS) ([]Finding, error) {
	r := &run{Config: l.cfg, dir: dir, files: files}
	present, err := r.walk()
	if err != nil {
		return nil, fmt.Errorf("read lab %s: %w", name, err)
	}
	if len(r.findings) > 0 {
		return r.findings, nil // links: nothing behind them is read
	}
	data, err := r.read(lab.FileName)
	if err != nil {
		return nil, fmt.Errorf("read lab %s: %w", name, err)
	}
	r.lab, r.places, err = lab.DecodeWithPlaces(lab.FileName, data)
	if err != nil {
		r.invalid(err)
		return r.findings, nil
	}
	if r.lab.Metadata.Name != name {
		r.add("name", Error, "metadata.name", "is %q; it must be the name of the directory, %q", r.lab.Metadata.Name, name)
	}
	r.referenced(present)
	r.expressions(ctx)
	r.tasks()
	r.drills()
	r.chart(ctx)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(r.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.findings, nil
}

// add reports something about a field of the lab.yaml.
func (r *run) add(id string, s Severity, field, format string, args ...any) {
	line, column := r.places.Find(field)
	r.addAt(id, s, lab.FileName, line, column, field, fmt.Sprintf(format, args...))
}

// addFile reports something about another file of the lab.
func (r *run) addFile(id string, s Severity, file, format string, args ...any) {
	r.addAt(id, s, file, 0, 0, "", fmt.Sprintf(format, args...))
}

func (r *run) addAt(id string, s Severity, file string, line, column int, field, message string) {
	r.findings = append(r.findings, Finding{
		ID: id, Severity: s, File: path.Join(r.dir, file), Line: line, Column: column, Field: field, Message: message,
	})
}

// invalid turns the problems of a lab.yaml into findings.
func (r *run) invalid(err error) {
	var invalid *lab.InvalidError
	if !errors.As(err, &invalid) {
		r.addFile("lab-invalid", Error, lab.FileName, "%v", err)
		return
	}
	for _, p := range invalid.Problems {
		r.addAt("lab-invalid", Error, p.File, p.Line, p.Column, p.Field, p.Message)
	}
}

// read gives a file of the lab, and no more than a byte over maxFile.
func (r *run) read(name string) ([]byte, error) {
	f, err := r.files.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
