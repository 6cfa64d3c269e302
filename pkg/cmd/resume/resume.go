// Package resume is the command `labctl resume`.
package resume

import (
	"context"
	"fmt"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Resumer acts on the local cluster.
type Resumer interface {
	Resume(ctx context.Context, sink ui.Sink) error
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Resumer, error)
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Engine: func() (Resumer, error) { return f.Engine() }}
	return &cobra.Command{
		Use:   "resume",
		Short: "Start the local cluster again after pause or a reboot",
		Long: heredoc.Doc(`
			Start the local kind cluster again, after ` + "`" + `labctl pause` + "`" + ` or a reboot, and wait
			until its labs answer.
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
	err = e.Resume(ctx, console)
	console.Close()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(o.IO.Out, "The cluster runs again.")
	return err
}
