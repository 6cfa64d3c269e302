// Package status is the command `labctl status`.
package status

import (
	"context"
	"fmt"
	"io"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/ui"
)

// Stater tells where labs stand.
type Stater interface {
	Status(ctx context.Context, lab string, t engine.Target) (*engine.Status, error)
}

// Tasker tells where the learner stands in a lab.
type Tasker interface {
	Tasks(ctx context.Context, lab string, t engine.Target) (*practice.Overview, error)
}

// Options are what the command works with.
type Options struct {
	IO       *iostreams.Streams
	Engine   func() (Stater, error)
	Practice func() (Tasker, error)

	Lab    string
	Target engine.Target
	Output ui.Format
}

// status is where everything stands, the learner's tasks included.
type status struct {
	Cluster string      `json:"cluster"`
	Labs    []labStatus `json:"labs"`
}

// labStatus is a lab and, where it has tasks, how far the learner is.
type labStatus struct {
	engine.LabStatus
	Progress *practice.Overview `json:"progress,omitempty"`
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{
		IO: f.IO, Engine: func() (Stater, error) { return f.Engine() }, Practice: func() (Tasker, error) { return f.Practice() },
	}
	cmd := &cobra.Command{
		Use:   "status [lab]",
		Short: "Show what runs, and how it is",
		Long: heredoc.Doc(`
			Show the cluster and every lab that is up, or one lab with its workloads,
			what each of them waits for, and how far you are with its tasks.

			Tasks stand as the last check said; labctl check looks at them anew.
		`),
		Example: heredoc.Doc(`
			labctl status
			labctl status model-registry
			labctl status -o json
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
	all, err := withTasks(ctx, o, res)
	if err != nil {
		return err
	}
	style := ui.NewStyle(o.IO.OutTTY() && o.IO.Color())
	return ui.Write(o.IO.Out, o.Output, all, func(w io.Writer) error { return text(w, style, all, o.Lab != "") })
}

// withTasks adds how far the learner is. A lab whose history can't be read
// stands without it: the status of a lab must not fail for that.
func withTasks(ctx context.Context, o *Options, s *engine.Status) (*status, error) {
	all := &status{Cluster: s.Cluster, Labs: make([]labStatus, 0, len(s.Labs))}
	for _, l := range s.Labs {
		row := labStatus{LabStatus: l}
		if l.State != "unreachable" {
			p, err := o.Practice()
			if err != nil {
				return nil, err
			}
			if v, err := p.Tasks(ctx, l.Lab, o.Target); err == nil && len(v.Tasks) > 0 {
				row.Progress = v
			}
		}
		all.Labs = append(all.Labs, row)
	}
	return all, nil
}

func text(w io.Writer, style ui.Style, s *status, detail bool) error {
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
		labText(p, l, detail)
		tasks(p, style, l.Progress, detail)
	}
	return p.Err()
}

func labText(p *ui.Printer, l labStatus, detail bool) {
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

// tasks says how far the learner is: a line, or with detail a row per task.
func tasks(p *ui.Printer, style ui.Style, v *practice.Overview, detail bool) {
	if v == nil {
		return
	}
	if detail {
		p.Linef("")
		rows := make([][]string, 0, len(v.Tasks))
		for _, t := range v.Tasks {
			rows = append(rows, []string{mark(style, t), t.ID, fmt.Sprintf("%d/%d", t.Earned, t.Max), t.Title, stateWord(t)})
		}
		p.Table("  ", rows)
	}
	p.Linef("  Score: %s", cmdutil.ScoreLine(v.Score))
	if v.Fault != nil {
		p.Linef("  Fault in progress: %s", v.Fault.Story)
	}
	if v.Next != nil {
		p.Linef("  Next:  %s   %s", v.Next.Command, v.Next.Text)
	}
}

func mark(style ui.Style, t progress.TaskScore) string {
	switch {
	case t.Regressed:
		return style.Bad("✗")
	case t.Passed:
		return style.OK("✓")
	default:
		return style.Dim("·")
	}
}

// stateWord says what the mark and the points don't.
func stateWord(t progress.TaskScore) string {
	switch t.State {
	case progress.TaskRegressed:
		return "passed before, does not now"
	case progress.TaskSolved:
		return "solved by labctl"
	case progress.TaskPassed:
		return cmdutil.LostLine(t)
	default:
		return ""
	}
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
