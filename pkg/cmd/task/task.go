// Package task is the command `labctl task`.
package task

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/markdown"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Catalog func() (*catalog.Catalog, error)
	State   func() (*state.Dir, error)

	Lab    string
	Task   string // empty: the one the learner is at
	Output ui.Format
}

// brief is a task as the learner gets it.
type brief struct {
	Lab    string   `json:"lab"`
	Task   string   `json:"task"`
	Title  string   `json:"title"`
	Why    string   `json:"why,omitempty"`
	Number int      `json:"number"`
	Of     int      `json:"of"`
	Points int      `json:"points"`
	Names  []string `json:"names"`
	// Text is Markdown.
	Text string `json:"text"`
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Catalog: f.Catalog, State: f.State}
	cmd := &cobra.Command{
		Use:   "task <lab> [task]",
		Short: "Show what there is to do",
		Long: heredoc.Doc(`
			Show the brief of a task: what there is to do, why, and what is graded.
			Without a task it is the one you are at. It needs no cluster.

			When the output is no terminal, the brief is printed as the Markdown that
			it is.
		`),
		Example: heredoc.Doc(`
			labctl task model-registry
			labctl task model-registry pin
			labctl task model-registry pin > pin.md
		`),
		Args:              cmdutil.RangeArgs(1, 2, "a lab and at most one of its tasks"),
		ValidArgsFunction: cmdutil.CompleteTasks(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Lab = args[0]
			if len(args) > 1 {
				o.Task = args[1]
			}
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
	c, err := o.Catalog()
	if err != nil {
		return err
	}
	entry, err := c.Get(o.Lab)
	if err != nil {
		return clierr.Usage("labctl list shows the labs", "%w", err)
	}
	t, err := find(entry.Lab, o)
	if err != nil {
		return err
	}
	text, err := fs.ReadFile(entry.FS, t.Brief)
	if err != nil {
		return clierr.Usage("labctl lint "+o.Lab, "read the brief of %s: %w", t.ID, err)
	}
	b := brief{Lab: o.Lab, Task: t.ID, Title: t.Title, Why: t.Why, Of: len(entry.Lab.Tasks), Points: t.Points(), Names: t.Names, Text: string(text)}
	for i := range entry.Lab.Tasks {
		if entry.Lab.Tasks[i].ID == t.ID {
			b.Number = i + 1
		}
	}
	return ui.Write(o.IO.Out, o.Output, b, func(w io.Writer) error { return show(w, b, o.IO) })
}

// find gives the task that is meant. That the history can't be read is no
// reason to show none.
func find(l *lab.Lab, o *Options) (*lab.Task, error) {
	if t, ok := l.Task(o.Task); ok {
		return t, nil
	}
	if o.Task != "" || len(l.Tasks) == 0 {
		return nil, practice.UnknownTask(l, o.Task)
	}
	dir, err := o.State()
	if err != nil {
		return nil, err
	}
	r, err := progress.Latest(dir, o.Lab)
	if err != nil {
		return nil, err
	}
	if t, ok := practice.Current(l, r); ok {
		return t, nil
	}
	return &l.Tasks[len(l.Tasks)-1], nil
}

func show(w io.Writer, b brief, s *iostreams.Streams) error {
	text := b.Text
	rule := "---"
	if s.OutTTY() {
		text = markdown.Render([]byte(text), s.Width(), s.Color())
		rule = ui.NewStyle(s.Color()).Dim(strings.Repeat("─", min(s.Width(), 100)))
	}
	p := ui.NewPrinter(w)
	p.Linef("%s\n", strings.TrimRight(text, "\n"))
	p.Linef("%s", rule)
	if !s.OutTTY() {
		p.Linef("")
	}
	p.Linef("Task %d of %d, %d points.", b.Number, b.Of, b.Points)
	for _, line := range []string{
		fmt.Sprintf("labctl check %s %s   looks at your work, as often as you like", b.Lab, b.Task),
		fmt.Sprintf("labctl hint %s %s    if you are stuck; the first hint is free", b.Lab, b.Task),
	} {
		p.Linef("    %s", line)
	}
	return p.Err()
}
