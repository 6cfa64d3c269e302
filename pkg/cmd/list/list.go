// Package list is the command `labctl list`.
package list

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Catalog func() (*catalog.Catalog, error)

	Output ui.Format
}

// row is one lab in the list.
type row struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Promise  string   `json:"promise,omitempty"`
	Level    int      `json:"level"`
	Minutes  int      `json:"minutes"`
	MemoryMi int      `json:"memoryMi"`
	Layers   []string `json:"layers"`
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Catalog: f.Catalog}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the labs",
		Args:    cmdutil.NoArgs,
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
	c, err := o.Catalog()
	if err != nil {
		return err
	}
	// Labs that can be read are listed beside the error about the others.
	labs, broken := c.List()
	if broken != nil {
		broken = clierr.Usage("correct the lab's files", "%w", broken)
	}
	rows := make([]row, 0, len(labs))
	for _, l := range labs {
		m := l.Lab.Metadata
		rows = append(rows, row{
			Name: m.Name, Title: m.Title, Promise: m.Promise, Level: m.Level, Minutes: m.Minutes,
			MemoryMi: l.Lab.Requires.MemoryMi, Layers: l.Lab.Layer.MLOps,
		})
	}
	return errors.Join(broken, ui.Write(o.IO.Out, o.Output, rows, func(w io.Writer) error {
		p := ui.NewPrinter(w)
		table := [][]string{{"LAB", "LEVEL", "MINUTES", "MEMORY", "TITLE"}}
		for _, r := range rows {
			table = append(table, []string{r.Name, fmt.Sprint(r.Level), fmt.Sprint(r.Minutes), fmt.Sprintf("%.1f GB", float64(r.MemoryMi)*(1<<20)/1e9), r.Title})
		}
		p.Table("", table)
		return p.Err()
	}))
}
