// Package doctor is the command `labctl doctor`.
package doctor

import (
	"context"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Examiner looks at the machine and repairs it.
type Examiner interface {
	Examine(ctx context.Context, o engine.ExamineOptions, sink ui.Sink) (*engine.Examination, error)
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Examiner, error)

	Examine engine.ExamineOptions
	Output  ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Engine: func() (Examiner, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "doctor [lab...]",
		Short: "Check whether this machine is fit, and repair it",
		Long: heredoc.Doc(`
			Check the container engine, memory, CPU, disk, kernel limits, ports, proxies
			and more against what the labs need. Each finding has a stable id, says why it
			matters, and names the command that repairs it. The report is one block that
			you can paste into a message.

			With --fix labctl repairs what it can: on Debian and Ubuntu, as root, it
			installs and starts a container engine and raises kernel limits. An engine
			that runs is never changed.
		`),
		Example: heredoc.Doc(`
			labctl doctor
			labctl doctor model-registry -o json
			labctl doctor --fix
		`),
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return cmdutil.CompleteLabs(f)(cmd, nil, toComplete)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Examine.Labs = args
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Examine.Fix, "fix", false, "repair what can be repaired, then check again")
	cmd.Flags().StringSliceVar(&o.Examine.Ignore, "ignore", nil, "ids of findings that shall not count")
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	console := o.Console()
	res, err := e.Examine(ctx, o.Examine, console)
	console.Close()
	if res == nil {
		return err
	}
	if werr := ui.Write(o.IO.Out, o.Output, res, func(w io.Writer) error { return text(w, res.Report) }); werr != nil {
		return werr
	}
	if err == nil && !res.Fit {
		return &cmdutil.ReportedError{Code: clierr.CodeUnfit}
	}
	return err
}

func text(w io.Writer, r doctor.Report) error {
	_, err := io.WriteString(w, r.Text())
	return err
}
