// Package shell is the command `labctl shell`.
package shell

import (
	"context"
	"errors"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/kube"
)

// Sheller runs a command in a lab's workbench.
type Sheller interface {
	Shell(ctx context.Context, o engine.ShellOptions) error
}

// Options are what the command works with.
type Options struct {
	IO     *iostreams.Streams
	Engine func() (Sheller, error)

	Shell engine.ShellOptions
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Engine: func() (Sheller, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "shell <lab> [-- command [args...]]",
		Short: "Open a shell in the lab's workbench",
		Long: heredoc.Doc(`
			Open a shell in the workbench pod of a lab, where its tools are, or run one
			command there. The exit code is that of the command.
		`),
		Example: heredoc.Doc(`
			labctl shell model-registry
			labctl shell model-registry -- mlflow experiments search
		`),
		Args:              cmdutil.MinArgs(1, "the name of a lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Shell.Lab, o.Shell.Argv = args[0], args[1:]
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Shell.Target)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.Shell.In, o.Shell.Out, o.Shell.ErrOut = o.IO.In, o.IO.Out, o.IO.ErrOut
	if len(o.Shell.Argv) == 0 && o.IO.InTTY() && o.IO.OutTTY() {
		sizes, restore, err := o.IO.Raw(ctx)
		if err != nil {
			return err
		}
		defer restore()
		o.Shell.TTY, o.Shell.Sizes = true, convert(sizes)
	}
	err = e.Shell(ctx, o.Shell)
	var exit *kube.ExitError
	if errors.As(err, &exit) {
		return &cmdutil.ReportedError{Code: exit.Code}
	}
	return err
}

// convert passes sizes on in the words of the Kubernetes client.
func convert(in <-chan iostreams.Size) <-chan kube.Size {
	out := make(chan kube.Size, 1)
	go func() {
		defer close(out)
		for s := range in {
			out <- kube.Size{Width: uint16(s.Width), Height: uint16(s.Height)} //nolint:gosec // terminals are small
		}
	}()
	return out
}
