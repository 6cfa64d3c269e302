// Package lint is the command `labctl lint`.
package lint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/lint"
	"labctl.dev/labctl/pkg/ui"
)

// Linter looks for mistakes in a lab.
type Linter interface {
	Lint(ctx context.Context, dir, name string, files fs.FS) ([]lint.Finding, error)
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Catalog func() (*catalog.Catalog, error)
	Linter  func() (Linter, error)

	// Labs are names of labs, or directories.
	Labs   []string
	Output ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Catalog: f.Catalog, Linter: func() (Linter, error) { return f.Linter() }}
	cmd := &cobra.Command{
		Use:   "lint [lab|directory]...",
		Short: "Look for mistakes in a lab's files",
		Long: heredoc.Doc(`
			Look for mistakes in the files of labs: lab.yaml, briefs, manifests, expressions
			and charts. No cluster is needed and nothing is run; labctl smoke proves on a
			cluster that a lab works.

			Without an argument that is the lab in the current directory, or else every lab.
			The exit code is 3 when there is an error; notes are advice.
		`),
		Example: heredoc.Doc(`
			labctl lint model-registry
			labctl lint ./labs/my-lab
			labctl lint --labs-dir labs -o json
		`),
		ValidArgsFunction: cmdutil.CompleteLabsOrDirs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Labs = args
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

// source is a lab that may be broken.
type source struct {
	dir, name string
	files     fs.FS
}

func run(ctx context.Context, o *Options) error {
	sources, err := find(o)
	if err != nil {
		return err
	}
	l, err := o.Linter()
	if err != nil {
		return err
	}
	findings := []lint.Finding{}
	for _, s := range sources {
		found, err := l.Lint(ctx, s.dir, s.name, s.files)
		if err != nil {
			return err
		}
		findings = append(findings, found...)
	}
	err = ui.Write(o.IO.Out, o.Output, findings, func(w io.Writer) error { return text(w, findings, len(sources)) })
	if err == nil && lint.Errors(findings) > 0 {
		err = &cmdutil.ReportedError{Code: clierr.CodeCheck}
	}
	return err
}

func text(w io.Writer, findings []lint.Finding, labs int) error {
	p := ui.NewPrinter(w)
	for _, f := range findings {
		p.Linef("%s", f)
	}
	bad := lint.Errors(findings)
	p.Linef("%s: %s, %s", count(labs, "lab"), count(bad, "error"), count(len(findings)-bad, "note"))
	return p.Err()
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// find gives the labs that are meant.
func find(o *Options) ([]source, error) {
	if len(o.Labs) == 0 {
		if isLab(".") {
			return open(nil, ".")
		}
		return all(o)
	}
	var sources []source
	for _, arg := range o.Labs {
		var err error
		if isLab(arg) {
			sources, err = open(sources, arg)
		} else {
			sources, err = named(o, sources, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return sources, nil
}

func isLab(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, lab.FileName))
	return err == nil
}

// open adds the lab in a directory.
func open(sources []source, dir string) ([]source, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return append(sources, source{filepath.ToSlash(filepath.Clean(dir)), filepath.Base(abs), os.DirFS(abs)}), nil
}

func all(o *Options) ([]source, error) {
	c, err := o.Catalog()
	if err != nil {
		return nil, err
	}
	names, err := c.Names()
	if err != nil {
		return nil, err
	}
	var sources []source
	for _, name := range names {
		if sources, err = named(o, sources, name); err != nil {
			return nil, err
		}
	}
	return sources, nil
}

// named adds a lab of the catalog.
func named(o *Options, sources []source, name string) ([]source, error) {
	c, err := o.Catalog()
	if err != nil {
		return nil, err
	}
	files, at, err := c.Files(name)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, &clierr.Error{Err: err, Hint: "name a lab of `labctl list`, or a directory with a lab.yaml", Code: clierr.CodeUsage, ID: "unknown-lab"}
	}
	if err != nil {
		return nil, err
	}
	return append(sources, source{short(at), name, files}), nil
}

// short gives a path as seen from here, when that is below.
func short(dir string) string {
	here, err := os.Getwd()
	if err != nil || !filepath.IsAbs(dir) {
		return filepath.ToSlash(dir)
	}
	if rel, err := filepath.Rel(here, dir); err == nil && !strings.HasPrefix(rel, "..") {
		return filepath.ToSlash(rel)
	}
	return filepath.ToSlash(dir)
}
