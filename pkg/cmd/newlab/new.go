// Package newlab is the command `labctl new`.
package newlab

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/config"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/scaffold"
	"labctl.dev/labctl/pkg/ui"
)

// Options are what the command works with.
type Options struct {
	IO     *iostreams.Streams
	Config func() (*config.Config, error)

	Lab string
	// Dir is where the lab's directory goes; empty is the labs directory, and
	// without one the current directory.
	Dir    string
	Output ui.Format
}

// NewCmd makes the command and the ones below it. runF replaces the work in
// tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new <command>",
		Short: "Begin something new",
		Args:  cmdutil.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLabCmd(f, runF))
	return cmd
}

func newLabCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Config: f.Config}
	cmd := &cobra.Command{
		Use:   "lab <name>",
		Short: "Write the files of a new lab",
		Long: heredoc.Doc(`
			Write a small lab that is whole: a task with checks, hints and a solution, a
			near-miss, an alternative, a fault and a chart. It comes up, it passes
			labctl lint, and every part is there to be replaced.

			The directory is named after the lab and goes into --dir, else into --labs-dir,
			else into the current directory. Nothing that exists is written over.
		`),
		Example: heredoc.Doc(`
			labctl new lab my-lab --dir labs
			labctl lint labs/my-lab
			labctl up my-lab --labs-dir labs
		`),
		Args:              cmdutil.ExactArgs(1, "the name of the lab"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Lab = args[0]
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "", "directory that the lab's directory goes into")
	_ = cmd.MarkFlagDirname("dir")
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func run(_ context.Context, o *Options) error {
	if !lab.ValidName(o.Lab) {
		return clierr.Usage("choose a name such as my-lab",
			"%q can't be the name of a lab; one has lower-case letters, digits and dashes, at most 40 of them", o.Lab)
	}
	dir := o.Dir
	if dir == "" {
		c, err := o.Config()
		if err != nil {
			return err
		}
		dir = c.LabsDir.Value
	}
	if dir == "" {
		dir = "."
	}
	res, err := scaffold.New(dir, o.Lab)
	if errors.Is(err, scaffold.ErrExists) {
		return clierr.Usage("choose another name or another --dir", "%w", err)
	}
	if err != nil {
		return clierr.Wrap(err, "", "choose another --dir")
	}
	return ui.Write(o.IO.Out, o.Output, res, func(w io.Writer) error {
		p := ui.NewPrinter(w)
		p.Linef("%s is in %s:", res.Lab, filepath.ToSlash(res.Dir))
		for _, f := range res.Files {
			p.Linef("  %s", f)
		}
		p.Linef("")
		p.Linef("Next:")
		p.Linef("  labctl lint %s", filepath.ToSlash(res.Dir))
		p.Linef("  labctl up %s --labs-dir %s", res.Lab, filepath.ToSlash(dir))
		p.Linef("  labctl smoke %s --labs-dir %s", res.Lab, filepath.ToSlash(dir))
		return p.Err()
	})
}
