// Package hint is the command `labctl hint`.
package hint

import (
	"context"
	"fmt"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/markdown"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/ui"
)

// Hinter opens hints.
type Hinter interface {
	Hint(ctx context.Context, o practice.HintOptions, sink ui.Sink) (*practice.HintReport, error)
}

// Options are what the command works with.
type Options struct {
	IO       *iostreams.Streams
	Console  func() *ui.Console
	Practice func() (Hinter, error)

	Hint   practice.HintOptions
	Output ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Practice: func() (Hinter, error) { return f.Practice() }}
	cmd := &cobra.Command{
		Use:   "hint [lab [task]]",
		Short: "Get the next hint for a task, or for a fault",
		Long: heredoc.Doc(`
			Open the next hint of a task: first a direction, then the concept, then
			nearly the solution. The hint fits what the checks see at the moment.

			The first hint is free, the second costs 10 % of the task's points, the
			third 20 %. The price is shown before a hint opens; half of the points
			always stay. Hints that are open can be read again for nothing.
		`),
		Example: heredoc.Doc(`
			labctl hint
			labctl hint model-registry pin
			labctl hint model-registry pin --yes
			labctl hint model-registry --fault
		`),
		Args:              cmdutil.MaxArgs(2, "a lab and one of its tasks"),
		ValidArgsFunction: cmdutil.CompleteTasks(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Hint.Lab = args[0]
			}
			if len(args) > 1 {
				o.Hint.Task = args[1]
			}
			if o.Hint.Fault && o.Hint.Task != "" {
				return clierr.Usage("give one of the two", "--fault is for the fault in progress, and takes no task: %q", o.Hint.Task)
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Hint.Fault, "fault", false, "a hint for the fault in progress")
	cmd.Flags().BoolVarP(&o.Hint.Paid, "yes", "y", false, "open a hint that costs points without asking")
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Hint.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	p, err := o.Practice()
	if err != nil {
		return err
	}
	if o.Output != ui.JSON {
		o.Hint.Confirm = cmdutil.Confirmer(o.IO)
	}
	console := o.Console()
	rep, err := p.Hint(ctx, o.Hint, console)
	console.Close()
	if err != nil {
		return err
	}
	return ui.Write(o.IO.Out, o.Output, rep, func(w io.Writer) error { return text(w, rep, o.IO) })
}

func text(w io.Writer, r *practice.HintReport, s *iostreams.Streams) error {
	p := ui.NewPrinter(w)
	for _, h := range r.Hints {
		price := "free"
		if h.Price > 0 {
			price = fmt.Sprintf("-%d", h.Price)
		}
		p.Linef("Hint %d (%s)", h.Level, price)
		body := h.Text
		if s.OutTTY() {
			body = markdown.Render([]byte(body), s.Width()-2, s.Color())
		}
		p.Linef("%s\n", ui.Indent("  ", body))
	}
	command := fmt.Sprintf("labctl hint %s %s", r.Lab, r.Task)
	if r.Fault != "" {
		command = fmt.Sprintf("labctl hint %s --fault", r.Lab)
	}
	switch {
	case r.Passed:
		p.Linef("%s passes: there is nothing left to hint at.", r.Title)
	case r.Declined:
		p.Linef("The hint stays closed.")
	case r.Offer == nil && len(r.Hints) == 0:
		p.Linef("There are no hints for %s.", r.Title)
	case r.Offer == nil && r.Fault != "":
		p.Linef("That was the last hint. labctl fix %s takes the fault out and tells the cause, for no points.", r.Lab)
	case r.Offer == nil:
		p.Linef("That was the last hint. labctl solve %s --to %s solves the task, for no points.", r.Lab, r.Task)
	case r.Offer.Price > 0:
		p.Linef("The next hint costs %d of %d points: %s", r.Offer.Price, r.Max, command)
	default:
		p.Linef("The next hint is free: %s", command)
	}
	return p.Err()
}
