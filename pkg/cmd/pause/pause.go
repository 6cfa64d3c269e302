// Package pause holds the commands `labctl pause` and `labctl resume`, which
// undo each other.
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

// Pauser stops and starts the local cluster.
type Pauser interface {
	Pause(ctx context.Context, sink ui.Sink) error
	Resume(ctx context.Context, sink ui.Sink) error
}

// Options are what the commands work with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Pauser, error)

	Do   func(p Pauser, ctx context.Context, sink ui.Sink) error
	Done string // what to say when it is done
}

// NewCmd makes `labctl pause`. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	cmd := newCmd(f, runF, Pauser.Pause, "The cluster is paused; `labctl resume` starts it again.")
	cmd.Use = "pause"
	cmd.Short = "Stop the local cluster, keeping its labs"
	cmd.Long = heredoc.Doc(`
		Stop the local kind cluster. Its labs keep their state and take no memory or
		CPU until ` + "`" + `labctl resume` + "`" + `. A reboot does the same to a running cluster.
	`)
	return cmd
}

// NewResumeCmd makes `labctl resume`. runF replaces the work in tests.
func NewResumeCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	cmd := newCmd(f, runF, Pauser.Resume, "The cluster runs again.")
	cmd.Use = "resume"
	cmd.Short = "Start the local cluster again after pause or a reboot"
	cmd.Long = heredoc.Doc(`
		Start the local kind cluster again, after ` + "`" + `labctl pause` + "`" + ` or a reboot, and wait
		until its labs answer.
	`)
	return cmd
}

func newCmd(
	f *cmdutil.Factory, runF func(context.Context, *Options) error, do func(Pauser, context.Context, ui.Sink) error, done string,
) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Engine: func() (Pauser, error) { return f.Engine() }, Do: do, Done: done}
	return &cobra.Command{
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
	err = o.Do(e, ctx, console)
	console.Close()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(o.IO.Out, o.Done)
	return err
}
