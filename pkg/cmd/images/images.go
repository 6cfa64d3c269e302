// Package images is the command `labctl images` and its subcommands.
package images

import (
	"context"
	"io"
	"strings"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Keeper lists, makes and removes images.
type Keeper interface {
	ListImages(ctx context.Context) ([]engine.ImageStatus, error)
	MakeImages(ctx context.Context, o engine.MakeOptions, sink ui.Sink) (map[string]image.Ref, error)
	PruneImages(ctx context.Context, o image.PruneOptions, sink ui.Sink) (image.PruneReport, error)
}

// Options are what the subcommands work with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Engine  func() (Keeper, error)

	Make   engine.MakeOptions
	Prune  image.PruneOptions
	Output ui.Format
}

func newOptions(f *cmdutil.Factory) *Options {
	return &Options{IO: f.IO, Console: f.Console, Engine: func() (Keeper, error) { return f.Engine() }}
}

// NewCmd makes the command with its subcommands.
func NewCmd(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images <command>",
		Short: "List, build, pull and remove the images of the labs",
		Long: heredoc.Doc(`
			Every image that labctl uses has one definition and a tag that is the hash of
			all that goes into it. An image comes from the local cache, from the configured
			registry, or is built; "up" does this by itself.
		`),
		Args: cmdutil.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newListCmd(f, nil), newBuildCmd(f, nil), newPullCmd(f, nil), newPruneCmd(f, nil))
	return cmd
}

func newListCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := newOptions(f)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List images, and where each is",
		Args:  cmdutil.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return list(cmd.Context(), o)
		},
	}
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func list(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	entries, err := e.ListImages(ctx)
	if err != nil {
		return err
	}
	return ui.Write(o.IO.Out, o.Output, entries, func(w io.Writer) error {
		p := ui.NewPrinter(w)
		rows := [][]string{{"IMAGE", "TAG", "WHERE", "SIZE", "BUILT FROM", "USED BY"}}
		for _, en := range entries {
			rows = append(rows, []string{en.Name, en.Tag, where(en.Entry), ui.Size(en.Size), string(en.Way), strings.Join(en.Labs, ", ")})
		}
		p.Table("", rows)
		return p.Err()
	})
}

func where(e image.Entry) string {
	var places []string
	if e.InCache {
		places = append(places, "cache")
	}
	if e.InEngine {
		places = append(places, "engine")
	}
	if len(places) == 0 {
		return "-"
	}
	return strings.Join(places, ", ")
}

func newBuildCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := newOptions(f)
	cmd := &cobra.Command{
		Use:   "build [image...]",
		Short: "Build images, or all of them",
		Long: heredoc.Doc(`
			Build the named images, or all of them, and what they stand on. An image that
			is there is not built again, unless --force is given.
		`),
		Example: heredoc.Doc(`
			labctl images build
			labctl images build mlflow --force
		`),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Make.Names = args
			o.Make.Build = true
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return makeImages(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Make.Force, "force", false, "build also what is there")
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func newPullCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := newOptions(f)
	cmd := &cobra.Command{
		Use:   "pull [image...]",
		Short: "Fill the cache: pull from the configured registry, build what is not there",
		Long: heredoc.Doc(`
			Fill the cache with the named images, or all of them, so that a later "up"
			needs no network: pull what the configured registry has, build the rest.
		`),
		Example: heredoc.Doc(`
			LABCTL_REGISTRY=registry.example.com/labs labctl images pull
		`),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Make.Names = args
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return makeImages(cmd.Context(), o)
		},
	}
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func makeImages(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	console := o.Console()
	refs, err := e.MakeImages(ctx, o.Make, console)
	console.Close()
	if err != nil {
		return err
	}
	return ui.Write(o.IO.Out, o.Output, refs, func(w io.Writer) error {
		p := ui.NewPrinter(w)
		p.Linef("%d images are ready; `labctl images list` shows them.", len(refs))
		return p.Err()
	})
}

func newPruneCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := newOptions(f)
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove images that no definition stands for any more",
		Long: heredoc.Doc(`
			Remove images of older definitions and what cut-off builds left behind. With
			--all the current ones go too; "up" makes them again. Images that a container
			uses stay.
		`),
		Args: cmdutil.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return prune(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Prune.All, "all", false, "remove the current images too")
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func prune(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	console := o.Console()
	report, err := e.PruneImages(ctx, o.Prune, console)
	console.Close()
	if err != nil {
		return clierr.Wrap(err, "prune images", "run the same command again")
	}
	return ui.Write(o.IO.Out, o.Output, report, func(w io.Writer) error {
		p := ui.NewPrinter(w)
		for _, r := range report.Removed {
			p.Linef("removed %s", r)
		}
		p.Linef("Freed %s in the cache and up to %s in the engine.", ui.Size(report.CacheFreed), ui.Size(report.EngineFreed))
		return p.Err()
	})
}
