// Package open is the command `labctl open`.
package open

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Opener forwards a local port to an endpoint of a lab until ctx ends.
type Opener interface {
	Open(ctx context.Context, o engine.OpenOptions) error
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Opener, error)
	Browse  func(ctx context.Context, url string) error

	Open      engine.OpenOptions
	NoBrowser bool
	Output    ui.Format
}

// opened is the result: where the endpoint answers now.
type opened struct {
	Lab      string `json:"lab"`
	Endpoint string `json:"endpoint"`
	URL      string `json:"url"`
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Browse: f.Browse, Engine: func() (Opener, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "open <lab> [endpoint]",
		Short: "Open an endpoint of a lab on 127.0.0.1",
		Long: heredoc.Doc(`
			Forward a port on 127.0.0.1 to an endpoint of a lab, print its URL, and open
			it in a browser where there is one. It runs until Ctrl-C, and reconnects
			when the pod behind the endpoint is replaced.

			Without a name the lab's first endpoint is opened.
		`),
		Example: heredoc.Doc(`
			labctl open model-registry
			labctl open model-registry mlflow --port 5000 --no-browser
		`),
		Args:              cmdutil.RangeArgs(1, 2, "a lab and at most one endpoint"),
		ValidArgsFunction: cmdutil.CompleteEndpoints(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Open.Lab = args[0]
			if len(args) == 2 {
				o.Open.Endpoint = args[1]
			}
			if o.Open.Port < 0 || o.Open.Port > 65535 {
				return clierr.Usage("give a port between 1 and 65535, or 0 for a free one", "--port %d is no port", o.Open.Port)
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Open.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	cmd.Flags().IntVarP(&o.Open.Port, "port", "p", 0, "local port (default: a free one)")
	cmd.Flags().BoolVar(&o.NoBrowser, "no-browser", false, "only print the URL")
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	console := o.Console()
	defer console.Close()
	o.Open.Note = func(text string) { console.Emit(ui.Event{Kind: ui.Note, Text: text}) }
	o.Open.Ready = func(ep engine.Endpoint, url string) error {
		res := opened{Lab: o.Open.Lab, Endpoint: ep.Name, URL: url}
		if err := ui.Write(o.IO.Out, o.Output, res, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, url)
			return err
		}); err != nil {
			return err
		}
		console.Emit(ui.Event{Kind: ui.Note, Text: fmt.Sprintf("%s answers there until you press Ctrl-C.", ep.Title)})
		if o.NoBrowser || !o.IO.OutTTY() {
			return nil
		}
		if err := o.Browse(ctx, url); err != nil {
			console.Emit(ui.Event{Kind: ui.Note, Text: "No browser could be started here; open the URL yourself."})
		}
		return nil
	}
	err = e.Open(ctx, o.Open)
	if errors.Is(context.Cause(ctx), clierr.ErrInterrupted) {
		return nil // Ctrl-C is how this command ends
	}
	return err
}
