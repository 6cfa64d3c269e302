// Package check is the command `labctl check`.
package check

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

// Checker runs the checks of a lab.
type Checker interface {
	Check(ctx context.Context, o practice.CheckOptions, sink ui.Sink) (*practice.CheckReport, error)
	Watch(ctx context.Context, o practice.CheckOptions, sink ui.Sink, tell func(*practice.CheckReport, []practice.Change) error) (*practice.CheckReport, error)
}

// Options are what the command works with.
type Options struct {
	IO       *iostreams.Streams
	Console  func() *ui.Console
	Practice func() (Checker, error)

	Check   practice.CheckOptions
	Watch   bool
	Verbose bool
	Output  ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Practice: func() (Checker, error) { return f.Practice() }}
	cmd := &cobra.Command{
		Use:   "check [lab [task]]",
		Short: "Check your work, and see what is missing",
		Long: heredoc.Doc(`
			Check the tasks of a lab, or one of them. A check that fails says what it
			found, what it expected, where, and where to look next. Checking costs
			nothing and can be repeated at will; the best that a task came to is kept.

			A check that changes the lab for a moment (it restarts a pod, runs a
			promotion) is asked for before it runs, once the rest of its task passes.
			With --yes all of them run without a question.

			Exit code 3 means that a check fails or waits for another one, 1 that the
			checks themselves had trouble.
		`),
		Example: heredoc.Doc(`
			labctl check
			labctl check model-registry pin
			labctl check model-registry --watch
			labctl check model-registry --yes -o json
		`),
		Args:              cmdutil.MaxArgs(2, "a lab and one of its tasks"),
		ValidArgsFunction: cmdutil.CompleteTasks(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Check.Lab = args[0]
			}
			if len(args) > 1 {
				o.Check.Task = args[1]
			}
			switch {
			case o.Watch && o.Check.Active:
				return clierr.Usage("labctl check --yes, without --watch", "--watch never runs checks that change the lab, so --yes has no meaning")
			case o.Watch && o.Output == ui.JSON:
				return clierr.Usage("labctl check -o json, without --watch", "--watch prints changes for people; -o json prints one document")
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVarP(&o.Watch, "watch", "w", false, "look again and again, and print what changes, until Ctrl-C")
	cmd.Flags().BoolVarP(&o.Check.Active, "yes", "y", false, "run checks that change the lab for a moment too, without asking")
	cmd.Flags().BoolVarP(&o.Verbose, "verbose", "v", false, "say everything about every check that fails")
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Check.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	p, err := o.Practice()
	if err != nil {
		return err
	}
	t := newTexter(o.IO, o.Verbose || o.Check.Task != "")
	var rep *practice.CheckReport
	console := o.Console()
	if o.Watch {
		rep, err = p.Watch(ctx, o.Check, console, func(rep *practice.CheckReport, changes []practice.Change) error {
			console.Close()
			return t.changes(o.IO.Out, rep, changes)
		})
	} else {
		if o.Output != ui.JSON {
			o.Check.Confirm = cmdutil.Confirmer(o.IO)
		}
		rep, err = p.Check(ctx, o.Check, console)
	}
	console.Close()
	if err != nil {
		return err
	}
	if !o.Watch {
		if err := ui.Write(o.IO.Out, o.Output, rep, func(w io.Writer) error { return t.report(w, rep) }); err != nil {
			return err
		}
	}
	if code := rep.Code(); code != clierr.CodeOK {
		return &cmdutil.ReportedError{Code: code}
	}
	return nil
}
