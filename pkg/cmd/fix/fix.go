// Package fix is the command `labctl fix`.
package fix

import (
	"context"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/ui"
)

// Fixer takes faults out of labs.
type Fixer interface {
	Fix(ctx context.Context, o practice.FixOptions, sink ui.Sink) (*practice.FixReport, error)
}

// Options are what the command works with.
type Options struct {
	IO       *iostreams.Streams
	Console  func() *ui.Console
	Practice func() (Fixer, error)

	Fix     practice.FixOptions
	Yes     bool
	Timeout cmdutil.Timeout
	Output  ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Practice: func() (Fixer, error) { return f.Practice() }}
	cmd := &cobra.Command{
		Use:   "fix [lab] [fault]",
		Short: "Take a fault out of a lab, and tell its cause",
		Long: heredoc.Doc(`
			Take the fault out that "labctl break" has put into a lab, and tell the root
			cause. The drill then earns nothing; the fault can be drilled again.

			With a fault's name its repair is run, whether it is in or not.
		`),
		Example: heredoc.Doc(`
			labctl fix model-registry
		`),
		Args:              cmdutil.MaxArgs(2, "a lab and a fault"),
		ValidArgsFunction: cmdutil.CompleteFaults(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Fix.Lab = args[0]
			}
			if len(args) > 1 {
				o.Fix.Fault = args[1]
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Fix.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	cmdutil.AddTimeoutFlag(cmd.Flags(), &o.Timeout)
	cmd.Flags().BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	return cmd
}

func run(ctx context.Context, o *Options) error {
	p, err := o.Practice()
	if err != nil {
		return err
	}
	if !o.Yes {
		o.Fix.Confirm = cmdutil.Confirmer(o.IO)
	}
	console := o.Console()
	var rep *practice.FixReport
	err = o.Timeout.Run(ctx, "fix", console, func(ctx context.Context, sink ui.Sink) (err error) {
		rep, err = p.Fix(ctx, o.Fix, sink)
		return err
	})
	console.Close()
	if err != nil {
		return err
	}
	if rep.Declined {
		return cmdutil.Declined("fix " + rep.Lab)
	}
	return ui.Write(o.IO.Out, o.Output, rep, func(w io.Writer) error { return text(w, rep) })
}

func text(w io.Writer, r *practice.FixReport) error {
	p := ui.NewPrinter(w)
	if r.WasIn {
		p.Linef("\nThe fault %q is out of %s.", r.Title, r.Lab)
	} else {
		p.Linef("\nThe repair of %q was run on %s, where the fault was not in.", r.Title, r.Lab)
	}
	if r.Cause != "" {
		p.Linef("Root cause: %s", r.Cause)
	}
	if r.Next != nil {
		p.Linef("\n%s  %s", r.Next.Command, r.Next.Text)
	}
	return p.Err()
}
