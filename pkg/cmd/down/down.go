// Package down is the command `labctl down`.
package down

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Downer takes labs down.
type Downer interface {
	Down(ctx context.Context, o engine.DownOptions, sink ui.Sink) (*engine.DownResult, error)
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Downer, error)

	Down    engine.DownOptions
	Timeout cmdutil.Timeout
	Output  ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Engine: func() (Downer, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "down [lab]",
		Short: "Remove a lab, and the cluster with its last lab",
		Long: heredoc.Doc(`
			Remove a lab with everything in its namespace. The kind cluster goes with
			its last lab, unless --keep-cluster is given. The image cache stays, so that
			the next "up" is quick; --purge removes it too, with all of labctl's state.

			On an existing cluster a namespace is removed only if "up" made it.
		`),
		Example: heredoc.Doc(`
			labctl down model-registry
			labctl down --all
			labctl down --all --purge
		`),
		Args:              cmdutil.MaxArgs(1, "one lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.Down.Lab = args[0]
			}
			if err := o.validate(); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Down.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	cmdutil.AddTimeoutFlag(cmd.Flags(), &o.Timeout)
	cmd.Flags().BoolVar(&o.Down.All, "all", false, "remove all labs and the cluster")
	cmd.Flags().BoolVar(&o.Down.Forget, "forget", false, "forget a lab on an existing cluster that is gone for good; removes nothing there")
	cmd.Flags().BoolVar(&o.Down.KeepCluster, "keep-cluster", false, "leave the kind cluster when its last lab goes")
	cmd.Flags().BoolVar(&o.Down.Purge, "purge", false, "remove the image cache and labctl's state too (with --all)")
	return cmd
}

func (o *Options) validate() error {
	switch {
	case o.Down.Lab == "" && !o.Down.All:
		return clierr.Usage("labctl down <lab>, or labctl down --all", "which lab?")
	case o.Down.Lab != "" && o.Down.All:
		return clierr.Usage("give one of the two", "a lab and --all exclude each other")
	case o.Down.Forget && o.Down.All:
		return clierr.Usage("labctl down <lab> --forget", "--forget works on one lab")
	case o.Down.Purge && !o.Down.All:
		return clierr.Usage("labctl down --all --purge", "--purge works only with --all")
	case o.Down.Purge && o.Down.KeepCluster:
		return clierr.Usage("give one of the two", "--purge and --keep-cluster exclude each other")
	default:
		return nil
	}
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	console := o.Console()
	var res *engine.DownResult
	err = o.Timeout.Run(ctx, o.command(), console, func(ctx context.Context, sink ui.Sink) (err error) {
		res, err = e.Down(ctx, o.Down, sink)
		return err
	})
	console.Close()
	if err != nil && (res == nil || len(res.Removed) == 0) {
		return err
	}
	return errors.Join(err, ui.Write(o.IO.Out, o.Output, res, func(w io.Writer) error { return text(w, res) }))
}

// command is what the user asked for, for messages.
func (o *Options) command() string {
	if o.Down.All {
		return "down --all"
	}
	return "down " + o.Down.Lab
}

func text(w io.Writer, r *engine.DownResult) error {
	p := ui.NewPrinter(w)
	if len(r.Removed) == 0 {
		p.Linef("There was nothing to remove.")
	} else {
		p.Linef("Removed: %s.", strings.Join(r.Removed, ", "))
	}
	if len(r.Kept) > 0 {
		p.Linef("Kept: %s.", strings.Join(r.Kept, ", "))
	}
	return p.Err()
}
