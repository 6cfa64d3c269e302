// Package version is the command `labctl version`.
package version

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
	"labctl.dev/labctl/pkg/version"
)

// Options are what the command works with.
type Options struct {
	IO *iostreams.Streams

	Output ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show which labctl this is",
		Args:  cmdutil.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func run(_ context.Context, o *Options) error {
	v := version.Get()
	return ui.Write(o.IO.Out, o.Output, v, func(w io.Writer) error {
		p := ui.NewPrinter(w)
		p.Linef("%s", v.Project)
		p.Table("", [][]string{{"version", v.Version}, {"commit", v.Commit}, {"built", v.Date}, {"go", v.Go}, {"platform", v.Platform}})
		return p.Err()
	})
}
