// Package pause is the command `labctl pause`.
package pause

import (
	"context"
	"fmt"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Pauser acts on the local cluster.
type Pauser interface {
	Pause(ctx context.Context, sink ui.Sink) error
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Pauser, error)
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Engine: func() (Pauser, error) { return f.Engine() }}
	return &cobra.Command{
		Use:   "pause",
		Short: "Stop the local cluster, keeping its labs",
		Long: heredoc.Doc(`
			Stop the local kind cluster. Its labs keep their state and take no memory or
			CPU until ` + "`" + `labctl resume` + "`" + `. A reboot does the same to a running cluster.
		`),
		Args: cmdutil.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	console := o.Console()
	err = e.Pause(ctx, console)
	console.Close()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(o.IO.Out, "The cluster is paused; `labctl resume` starts it again.")
	return err
}
