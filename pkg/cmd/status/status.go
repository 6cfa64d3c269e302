// Package status is the command `labctl status`.
package status

import (
	"context"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/ui"
)

// Stater tells where labs stand.
type Stater interface {
	Status(ctx context.Context, lab string, t engine.Target) (*engine.Status, error)
}

// Options are what the command works with.
type Options struct {
	IO     *iostreams.Streams
	Engine func() (Stater, error)

	Lab    string
	Target engine.Target
	Output ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Engine: func() (Stater, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "status [lab]",
		Short: "Show what runs, and how it is",
		Long: heredoc.Doc(`
			Show the cluster and every lab that is up, or one lab with its workloads and
			what each of them waits for.
		`),
		Args:              cmdutil.MaxArgs(1, "one lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.Lab = args[0]
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	res, err := e.Status(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	return ui.Write(o.IO.Out, o.Output, res, func(w io.Writer) error { return text(w, res, o.Lab != "") })
}

func text(w io.Writer, s *engine.Status, detail bool) error {
	p := ui.NewPrinter(w)
	if s.Cluster != "" {
		p.Linef("Local cluster: %s", s.Cluster)
	}
	if len(s.Labs) == 0 {
		p.Linef("No lab is up. `labctl list` shows the labs, `labctl up <lab>` brings one up.")
		return p.Err()
	}
	for i, l := range s.Labs {
		if i > 0 || s.Cluster != "" {
			p.Linef("")
		}
		p.Linef("%s: %s (%s, namespace %s)", l.Lab, l.State, l.Target, l.Namespace)
		if l.Newer {
			p.Linef("  This labctl carries a newer version of the lab.")
		}
		rows := make([][]string, 0, len(l.Workloads))
		for _, r := range l.Workloads {
			if !detail && r.Ready {
				continue
			}
			rows = append(rows, []string{r.String(), word(r), r.Message})
		}
		p.Table("  ", rows)
		if l.Reason != "" {
			p.Linef("  %s", l.Reason)
		}
		if detail && len(l.Endpoints) > 0 {
			p.Linef("")
			for _, ep := range l.Endpoints {
				p.Linef("  %s: %s", ep.Title, ep.Command)
			}
		}
	}
	return p.Err()
}

func word(w kube.WorkloadStatus) string {
	switch {
	case w.Ready:
		return "ready"
	case w.Failed:
		return "failed"
	default:
		return "starting"
	}
}
