// Package up is the command `labctl up`.
package up

import (
	"context"
	"fmt"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Upper brings a lab up.
type Upper interface {
	Up(ctx context.Context, o engine.UpOptions, sink ui.Sink) (*engine.UpResult, error)
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Upper, error)

	Up      engine.UpOptions
	Timeout cmdutil.Timeout
	Output  ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Engine: func() (Upper, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "up <lab>",
		Short: "Bring a lab up",
		Long: heredoc.Doc(`
			Bring a lab up on the local kind cluster, or on an existing one.

			The first lab makes the cluster; further labs share it. A lab that is up
			stays as it is: nothing that you changed in it is touched. What was cut off
			half-way, by Ctrl-C, by --timeout or by a crash, is mended and goes on.
		`),
		Example: heredoc.Doc(`
			# the local cluster
			labctl up model-registry

			# an existing cluster, whose nodes pull from a registry of yours
			labctl up model-registry --kubeconfig ./class.yaml --registry registry.example.com/labs

			# go on although the machine is short of memory
			labctl up model-registry --ignore memory
		`),
		Args:              cmdutil.ExactArgs(1, "the name of a lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Up.Lab = args[0]
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Up.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	cmdutil.AddTimeoutFlag(cmd.Flags(), &o.Timeout)
	cmd.Flags().StringSliceVar(&o.Up.Ignore, "ignore", nil, "ids of findings that shall not stop the work (see labctl doctor)")
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	console := o.Console()
	var res *engine.UpResult
	err = o.Timeout.Run(ctx, "up "+o.Up.Lab, console, func(ctx context.Context, sink ui.Sink) (err error) {
		res, err = e.Up(ctx, o.Up, sink)
		return err
	})
	console.Close()
	if err != nil {
		return err
	}
	return ui.Write(o.IO.Out, o.Output, res, func(w io.Writer) error { return text(w, res) })
}

func text(w io.Writer, r *engine.UpResult) error {
	p := ui.NewPrinter(w)
	state := "is up"
	if !r.Changed {
		state = "was up already; nothing was changed"
	}
	p.Linef("\n%s %s (%s, namespace %s).", r.Lab, state, r.Target, r.Namespace)
	if r.Newer {
		p.Linef("This labctl carries a newer version of the lab; `labctl down %s && labctl up %s` installs it afresh.", r.Lab, r.Lab)
	}
	if len(r.NotReady) > 0 {
		p.Linef("\nNot ready now:")
		for _, s := range r.NotReady {
			p.Linef("  %s  %s", s, s.Message)
		}
	}
	if len(r.Endpoints) > 0 {
		p.Linef("\nOpen:")
		rows := make([][]string, 0, len(r.Endpoints))
		for _, ep := range r.Endpoints {
			rows = append(rows, []string{ep.Command, ep.Title})
		}
		p.Table("  ", rows)
	}
	p.Linef("\nLook round:")
	p.Table("  ", [][]string{
		{fmt.Sprintf("labctl status %s", r.Lab), "what runs, and how it is"},
		{fmt.Sprintf("labctl shell %s", r.Lab), "a shell in the lab's workbench"},
		{fmt.Sprintf("labctl kubeconfig %s", r.Lab), "use kubectl and helm"},
		{fmt.Sprintf("labctl down %s", r.Lab), "remove the lab"},
	})
	if r.Next != "" {
		p.Linef("\nNext:\n%s", ui.Indent("  ", r.Next))
	}
	return p.Err()
}
