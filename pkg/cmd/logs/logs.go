// Package logs is the command `labctl logs`.
package logs

import (
	"context"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
)

// Logger prints what the pods of a lab wrote.
type Logger interface {
	Logs(ctx context.Context, o engine.LogsOptions) error
}

// Options are what the command works with.
type Options struct {
	IO     *iostreams.Streams
	Engine func() (Logger, error)

	Logs engine.LogsOptions
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Engine: func() (Logger, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "logs <lab> [component]",
		Short: "Print the logs of a lab, or of one component",
		Example: heredoc.Doc(`
			labctl logs model-registry
			labctl logs model-registry mlflow --follow
		`),
		Args:              cmdutil.RangeArgs(1, 2, "a lab and at most one component"),
		ValidArgsFunction: cmdutil.CompleteComponents(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Logs.Lab = args[0]
			if len(args) == 2 {
				o.Logs.Component = args[1]
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Logs.Target)
	cmd.Flags().BoolVarP(&o.Logs.Follow, "follow", "f", false, "go on printing what is written, until Ctrl-C")
	cmd.Flags().Int64Var(&o.Logs.Tail, "tail", 50, "lines from the end of each container's log; -1 for all")
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	o.Logs.Out = o.IO.Out
	return e.Logs(ctx, o.Logs)
}
