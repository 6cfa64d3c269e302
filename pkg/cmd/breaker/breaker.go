// Package breaker is the command `labctl break`; the verb is a keyword of Go.
package breaker

import (
	"context"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/ui"
)

// Breaker puts faults into labs.
type Breaker interface {
	Break(ctx context.Context, o practice.BreakOptions, sink ui.Sink) (*practice.BreakReport, error)
}

// Options are what the command works with.
type Options struct {
	IO       *iostreams.Streams
	Console  func() *ui.Console
	Practice func() (Breaker, error)

	Break   practice.BreakOptions
	Timeout cmdutil.Timeout
	Output  ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Practice: func() (Breaker, error) { return f.Practice() }}
	cmd := &cobra.Command{
		Use:   "break [lab] [fault]",
		Short: "Put a fault into a solved lab, to find and repair",
		Long: heredoc.Doc(`
			Put a fault into a solved lab, and say what the pager says. Find the cause and
			repair it; "labctl check" tells when it is gone. Every fault that you repair is
			worth bonus points, and a ConfigMap "rca" with the root cause in a sentence is
			worth some more.

			Without a fault it is the first that you have not repaired yet. One fault is in
			at a time.
		`),
		Example: heredoc.Doc(`
			labctl break model-registry
			labctl break model-registry --random
			labctl break model-registry --solve-first
		`),
		Args:              cmdutil.MaxArgs(2, "a lab and a fault"),
		ValidArgsFunction: cmdutil.CompleteFaults(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Break.Lab = args[0]
			}
			if len(args) > 1 {
				o.Break.Fault = args[1]
			}
			if o.Break.Fault != "" && o.Break.Random {
				return clierr.Usage("give one of the two", "a fault and --random exclude each other")
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&o.Break.Random, "random", false, "any fault, of those that you have not repaired yet")
	fs.BoolVar(&o.Break.Force, "force", false, "take a fault that is in out first, which ends its drill")
	fs.BoolVar(&o.Break.SolveFirst, "solve-first", false, "solve the lab first where it is not; those tasks then earn nothing more")
	cmdutil.AddTargetFlags(fs, &o.Break.Target)
	cmdutil.AddOutputFlag(fs, &o.Output)
	cmdutil.AddTimeoutFlag(fs, &o.Timeout)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	p, err := o.Practice()
	if err != nil {
		return err
	}
	console := o.Console()
	var rep *practice.BreakReport
	err = o.Timeout.Run(ctx, "break", console, func(ctx context.Context, sink ui.Sink) (err error) {
		rep, err = p.Break(ctx, o.Break, sink)
		return err
	})
	console.Close()
	if err != nil {
		return err
	}
	return ui.Write(o.IO.Out, o.Output, rep, func(w io.Writer) error { return text(w, rep) })
}

// text does not name the fault: its id may give the cause away.
func text(w io.Writer, r *practice.BreakReport) error {
	p := ui.NewPrinter(w)
	p.Linef("\nThe pager, for %s: %s", r.Lab, r.Story)
	if len(r.Symptoms) > 0 {
		p.Linef("\nWhat can be seen:")
		for _, s := range r.Symptoms {
			p.Linef("  - %s", s)
		}
	}
	p.Linef("\nFind the cause and repair it, for %d bonus points.", r.Bonus)
	rows := make([][]string, 0, len(r.Next))
	for _, n := range r.Next {
		rows = append(rows, []string{n.Command, n.Text})
	}
	p.Table("  ", rows)
	return p.Err()
}
