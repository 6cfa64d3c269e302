// Package reset is the command `labctl reset`.
package reset

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Resetter brings labs back to their beginning.
type Resetter interface {
	Reset(ctx context.Context, o engine.ResetOptions, sink ui.Sink) (*engine.ResetResult, error)
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Resetter, error)

	Reset   engine.ResetOptions
	Yes     bool
	Timeout cmdutil.Timeout
	Output  ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Engine: func() (Resetter, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "reset <lab>",
		Short: "Bring a lab back to its beginning, in place",
		Long: heredoc.Doc(`
			Bring a lab back to how it was when it had just come up, in seconds: what you
			added goes, what you removed or changed comes back, and the data is seeded
			anew. Your points and hints so far become history, and a new count begins. On a
			terminal it asks first; a script is not asked.

			A labctl that carries a newer version of the lab installs it by that. A reset
			that was cut off shows in "labctl status"; the same command goes on with it.
		`),
		Example: heredoc.Doc(`
			labctl reset model-registry
			labctl reset model-registry --yes -o json
		`),
		Args:              cmdutil.ExactArgs(1, "the name of a lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Reset.Lab = args[0]
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Reset.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	cmdutil.AddTimeoutFlag(cmd.Flags(), &o.Timeout)
	cmd.Flags().BoolVarP(&o.Yes, "yes", "y", false, "throw the work in the lab away without asking")
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	if ask := cmdutil.Confirmer(o.IO); ask != nil && !o.Yes {
		ok, err := ask(ctx, fmt.Sprintf("This throws away all work in %s. Go on?", o.Reset.Lab))
		if err != nil {
			return err
		}
		if !ok {
			return cmdutil.Declined("reset " + o.Reset.Lab)
		}
	}
	console := o.Console()
	var res *engine.ResetResult
	err = o.Timeout.Run(ctx, "reset "+o.Reset.Lab, console, func(ctx context.Context, sink ui.Sink) (err error) {
		res, err = e.Reset(ctx, o.Reset, sink)
		return err
	})
	console.Close()
	if err != nil {
		return err
	}
	return ui.Write(o.IO.Out, o.Output, res, func(w io.Writer) error { return text(w, res) })
}

func text(w io.Writer, r *engine.ResetResult) error {
	p := ui.NewPrinter(w)
	p.Linef("\n%s is as on the first day (%s).", r.Lab, r.Target)
	if r.Upgraded {
		p.Linef("It has the newer version that this labctl carries.")
	}
	if len(r.Removed) > 0 {
		p.Linef("Removed: %s.", strings.Join(r.Removed, ", "))
	}
	if len(r.Restored) > 0 {
		p.Linef("Restored: %s.", strings.Join(r.Restored, ", "))
	}
	return p.Err()
}
