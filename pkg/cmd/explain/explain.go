// Package explain is the command `labctl explain`.
package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/docs"
	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/explain"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/markdown"
	"labctl.dev/labctl/pkg/ui"
)

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Catalog func() (*catalog.Catalog, error)

	Name   string // empty: list everything
	Output ui.Format
}

// index lists what can be explained.
type index struct {
	Terms    []string `json:"terms"`
	Labs     []string `json:"labs"`
	Tasks    []string `json:"tasks"`
	Checks   []string `json:"checks"`
	Findings []string `json:"findings"`
	Errors   []string `json:"errors"`
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Catalog: f.Catalog}
	cmd := &cobra.Command{
		Use:   "explain [word | lab | task | check | finding]",
		Short: "Explain a word of MLOps, a lab, a check or a finding",
		Long: heredoc.Doc(`
			Explain a word of MLOps by what you know from DevOps; a lab with its table of
			analogies; a task or a check; a finding of labctl doctor; a known error. It
			needs no cluster. Without a name it lists everything.
		`),
		Example: heredoc.Doc(`
			labctl explain
			labctl explain drift
			labctl explain model-registry
			labctl explain MR3a
			labctl explain engine-down
		`),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names(f), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = strings.Join(args, " ") // "labctl explain model version"
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

// names are for completion, which never fails.
func names(f *cmdutil.Factory) []string {
	b, err := book(f.Catalog)
	if b == nil || err != nil {
		return nil
	}
	var all []string
	for _, k := range []explain.Kind{explain.Term, explain.Lab, explain.Check, explain.Finding} {
		for _, name := range b.Names(k) {
			all = append(all, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return all
}

// book makes the book. Labs that can't be read are left out: another command
// says what is wrong with them.
func book(open func() (*catalog.Catalog, error)) (*explain.Book, error) {
	c, err := open()
	if err != nil {
		return nil, err
	}
	entries, _ := c.List()
	list := make([]*lab.Lab, 0, len(entries))
	for _, e := range entries {
		list = append(list, e.Lab)
	}
	page, err := docs.FS.ReadFile("doctor.md")
	if err != nil {
		return nil, err
	}
	return explain.New(list, string(page))
}

func run(_ context.Context, o *Options) error {
	b, err := book(o.Catalog)
	if err != nil {
		return err
	}
	if o.Name == "" {
		list := index{
			b.Names(explain.Term), b.Names(explain.Lab), b.Names(explain.Task), b.Names(explain.Check), b.Names(explain.Finding), b.Names(explain.Error),
		}
		return ui.Write(o.IO.Out, o.Output, list, func(w io.Writer) error { return showIndex(w, list, o.IO) })
	}
	found, err := b.Find(o.Name)
	if err != nil {
		return err
	}
	return ui.Write(o.IO.Out, o.Output, found, func(w io.Writer) error {
		var errs []error
		for i, e := range found {
			if i > 0 {
				_, err := fmt.Fprintln(w)
				errs = append(errs, err)
			}
			errs = append(errs, show(w, e, o.IO))
		}
		return errors.Join(errs...)
	})
}

func show(w io.Writer, e explain.Entry, s *iostreams.Streams) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", title(e))
	if e.Know != "" {
		fmt.Fprintf(&b, "You know it as: **%s**.\n\n", e.Know)
	}
	b.WriteString(strings.TrimSpace(e.Text) + "\n")
	if len(e.Also) > 0 {
		fmt.Fprintf(&b, "\nAlso: %s\n", strings.Join(e.Also, ", "))
	}
	if len(e.See) > 0 {
		fmt.Fprintf(&b, "\nSee: %s\n", strings.Join(e.See, ", "))
	}
	text := b.String()
	if s.OutTTY() {
		text = markdown.Render([]byte(text), s.Width(), s.Color())
	}
	_, err := io.WriteString(w, text)
	return err
}

func title(e explain.Entry) string {
	switch {
	case e.Title == "":
		return e.Name
	case e.Kind == explain.Check:
		return e.Name + ", a check of " + e.Title
	default:
		return e.Title
	}
}

func showIndex(w io.Writer, l index, s *iostreams.Streams) error {
	p := ui.NewPrinter(w)
	width := 100
	if s.OutTTY() {
		width = min(s.Width(), width)
	}
	for _, group := range []struct {
		title string
		names []string
	}{
		{"Words", l.Terms},
		{"Labs", l.Labs},
		{"Tasks", l.Tasks},
		{"Checks", l.Checks},
		{"Findings of labctl doctor", l.Findings},
		{"Known errors", l.Errors},
	} {
		if len(group.names) == 0 {
			continue
		}
		p.Linef("%s:", group.title)
		p.Linef("%s\n", ui.Indent("  ", wrapNames(group.names, width-2)))
	}
	p.Linef("labctl explain <name>")
	return p.Err()
}

// wrapNames breaks a list between names only.
func wrapNames(names []string, width int) string {
	const space = "\u00a0" // keeps "model version" together
	joined := make([]string, 0, len(names))
	for _, n := range names {
		joined = append(joined, strings.ReplaceAll(n, " ", space))
	}
	return strings.ReplaceAll(ui.Wrap(strings.Join(joined, ", "), width), space, " ")
}
