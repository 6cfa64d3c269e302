// Package solve is the command `labctl solve`.
package solve

import (
	"context"
	"io"
	"time"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/ui"
)

// Solver runs the solutions of a lab.
type Solver interface {
	Solve(ctx context.Context, o practice.SolveOptions, sink ui.Sink) (*practice.SolveReport, error)
}

// Options are what the command works with.
type Options struct {
	IO       *iostreams.Streams
	Console  func() *ui.Console
	Practice func() (Solver, error)

	Solve   practice.SolveOptions
	Yes     bool
	Timeout cmdutil.Timeout
	Output  ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Practice: func() (Solver, error) { return f.Practice() }}
	cmd := &cobra.Command{
		Use:   "solve [lab]",
		Short: "Run the solutions of a lab's tasks",
		Long: heredoc.Doc(`
			Run the solutions of a lab's tasks in order: all of them, or up to one task, for
			example to go on behind a task where you are stuck. What is done already is done
			again, which changes nothing.

			A task that labctl solves earns nothing more. Points that you have earned stay,
			and later tasks count as always. The lab may be left out when only one is up.
		`),
		Example: heredoc.Doc(`
			labctl solve model-registry
			labctl solve model-registry --to pin
		`),
		Args:              cmdutil.MaxArgs(1, "one lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.Solve.Lab = args[0]
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Solve.To, "to", "", "id of the last task to solve (default: all tasks)")
	_ = cmd.RegisterFlagCompletionFunc("to", cmdutil.CompleteTasksOf(f))
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Solve.Target)
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
		o.Solve.Confirm = cmdutil.Confirmer(o.IO)
	}
	console := o.Console()
	var rep *practice.SolveReport
	err = o.Timeout.Run(ctx, "solve", console, func(ctx context.Context, sink ui.Sink) (err error) {
		rep, err = p.Solve(ctx, o.Solve, sink)
		return err
	})
	console.Close()
	if err != nil {
		return err
	}
	if rep.Declined {
		return cmdutil.Declined("solve " + rep.Lab)
	}
	return ui.Write(o.IO.Out, o.Output, rep, func(w io.Writer) error { return text(w, rep) })
}

func text(w io.Writer, r *practice.SolveReport) error {
	p := ui.NewPrinter(w)
	p.Linef("\nSolved in %s:", r.Lab)
	rows := make([][]string, 0, len(r.Tasks))
	for _, t := range r.Tasks {
		note := "earns nothing more"
		if t.Own {
			note = "you had passed it; its points stay"
		}
		rows = append(rows, []string{t.ID, t.Title, ui.Duration(time.Duration(t.Seconds * float64(time.Second))), note})
	}
	p.Table("  ", rows)
	for _, n := range r.Notes {
		p.Linef("%s", n)
	}
	if r.Next != nil {
		p.Linef("\n%s  %s", r.Next.Command, r.Next.Text)
	}
	return p.Err()
}
