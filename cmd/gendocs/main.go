// Command gendocs writes what is made from labctl's commands and types: the
// Markdown reference in docs/commands, man pages, shell completions, and the
// JSON Schema of lab.yaml. It is a tool of this repository and no part of a
// release.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"labctl.dev/labctl/pkg/cmd/root"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("gendocs", flag.ContinueOnError)
	source := flags.String("source", filepath.Join("pkg", "lab"), "directory of the Go types that the schema is made of")
	outputs := []struct {
		dir   *string
		write func(cmd *cobra.Command, dir string) error
	}{
		{flags.String("schema", "", "directory for the JSON Schema of lab.yaml"), func(_ *cobra.Command, dir string) error { return writeSchema(*source, dir) }},
		{flags.String("markdown", "", "directory for the Markdown reference; old pages there go"), writeMarkdown},
		{flags.String("man", "", "directory for man pages (SOURCE_DATE_EPOCH gives their date)"), writeMan},
		{flags.String("completions", "", "directory for shell completions"), writeCompletions},
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, o := range outputs {
		if *o.dir == "" {
			continue
		}
		if err := os.MkdirAll(*o.dir, 0o755); err != nil {
			return err
		}
		// Each output starts from a fresh tree, because cobra's generators add to it.
		if err := o.write(commands(), *o.dir); err != nil {
			return fmt.Errorf("write %s: %w", *o.dir, err)
		}
	}
	return nil
}

// commands makes the command tree. Nothing runs, so nothing behind the
// commands is needed.
func commands() *cobra.Command {
	streams, _, _, _ := iostreams.Test()
	cmd := root.NewCmd(&cmdutil.Factory{IO: streams, Global: &cmdutil.Global{}})
	cmd.InitDefaultCompletionCmd()
	cmd.DisableAutoGenTag = true
	return cmd
}

// placeholder is <lab> in a usage line, which the generator of man pages takes
// for HTML and drops.
var placeholder = regexp.MustCompile(`<[a-z-]+>`)

func writeMan(cmd *cobra.Command, dir string) error {
	upper(cmd)
	return doc.GenManTree(cmd, &doc.GenManHeader{Section: "1", Source: "labctl", Manual: "labctl"}, dir)
}

// upper writes placeholders as man pages do: labctl up LAB.
func upper(cmd *cobra.Command) {
	for _, text := range []*string{&cmd.Use, &cmd.Short, &cmd.Long} {
		*text = placeholder.ReplaceAllStringFunc(*text, func(p string) string { return strings.ToUpper(strings.Trim(p, "<>")) })
	}
	for _, c := range cmd.Commands() {
		upper(c)
	}
}

func writeCompletions(cmd *cobra.Command, dir string) error {
	shells := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"labctl.bash", func(w io.Writer) error { return cmd.GenBashCompletionV2(w, true) }},
		{"labctl.fish", func(w io.Writer) error { return cmd.GenFishCompletion(w, true) }},
		{"labctl.ps1", cmd.GenPowerShellCompletionWithDesc},
		{"labctl.zsh", cmd.GenZshCompletion},
	}
	for _, s := range shells {
		if err := writeFile(filepath.Join(dir, s.name), s.write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
