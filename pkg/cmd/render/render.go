// Package render is the command `labctl render`.
package render

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Renderer gives the manifests of a lab.
type Renderer interface {
	Render(ctx context.Context, lab string, t engine.Target) (*engine.Rendering, error)
}

// Options are what the command works with.
type Options struct {
	IO     *iostreams.Streams
	Engine func() (Renderer, error)

	Lab    string
	Target engine.Target
	Output format
}

// format is how manifests are printed.
type format string

const (
	yamlFormat format = "yaml"
	jsonFormat format = "json"
)

func (f *format) String() string { return string(*f) }

func (f *format) Set(s string) error {
	switch format(s) {
	case yamlFormat, jsonFormat:
		*f = format(s)
		return nil
	default:
		return errors.New("must be yaml or json")
	}
}

func (f *format) Type() string { return "format" }

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Engine: func() (Renderer, error) { return f.Engine() }, Output: yamlFormat}
	cmd := &cobra.Command{
		Use:   "render <lab>",
		Short: "Print the manifests of a lab",
		Long: heredoc.Docf(`
			Print what labctl up would install, with the images that it would use. Nothing
			is applied and no cluster is needed. What an install makes up, such as
			passwords, is %s here.
		`, engine.Generated),
		Example: heredoc.Doc(`
			labctl render model-registry
			labctl render my-lab --labs-dir labs | kubectl apply --dry-run=client -f -
		`),
		Args:              cmdutil.ExactArgs(1, "the name of a lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Lab = args[0]
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Target)
	cmd.Flags().VarP(&o.Output, "output", "o", "how to print the manifests: yaml or json (one List)")
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	r, err := e.Render(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	if o.Output == yamlFormat {
		data, err := r.Objects.YAML()
		if err != nil {
			return err
		}
		if _, err := o.IO.Out.Write(data); err != nil {
			return fmt.Errorf("write YAML: %w", err)
		}
		return nil
	}
	items := []map[string]any{}
	for _, object := range r.Objects.Objects {
		items = append(items, object.Object)
	}
	list := map[string]any{"apiVersion": "v1", "kind": "List", "items": items}
	return ui.Write(o.IO.Out, ui.JSON, list, func(io.Writer) error { return nil })
}
