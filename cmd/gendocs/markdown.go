package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeMarkdown writes one page for each command. cobra has a generator of its
// own; ours leaves no empty sections, covers help topics and groups, and its
// pages pass the Markdown linter.
func writeMarkdown(cmd *cobra.Command, dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return writePages(cmd, dir)
}

func writePages(cmd *cobra.Command, dir string) error {
	err := writeFile(filepath.Join(dir, pageName(cmd)), func(w io.Writer) error {
		_, err := io.WriteString(w, page(cmd))
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range children(cmd) {
		if err := writePages(c, dir); err != nil {
			return err
		}
	}
	return nil
}

func pageName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "_") + ".md"
}

// children lists the commands that get a page, help topics included.
func children(cmd *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, c := range cmd.Commands() {
		if !c.Hidden && c.Deprecated == "" && c.Name() != "help" {
			list = append(list, c)
		}
	}
	return list
}

func page(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s.\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."))
	long := strings.TrimSpace(cmd.Long)
	if cmd.IsAdditionalHelpTopicCommand() {
		writeBlock(&b, "text", long)
	} else {
		if cmd.Runnable() {
			writeBlock(&b, "text", cmd.UseLine())
		}
		writeProse(&b, long)
		writeSection(&b, "Examples", "sh", cmd.Example)
		writeFlags(&b, "Flags", cmd.NonInheritedFlags())
		writeFlags(&b, "Flags of all commands", cmd.InheritedFlags())
	}
	writeLinks(&b, cmd)
	return b.String()
}

func writeBlock(b *strings.Builder, language, text string) {
	fmt.Fprintf(b, "\n```%s\n%s\n```\n", language, strings.TrimRight(text, "\n "))
}

func writeSection(b *strings.Builder, title, language, text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	fmt.Fprintf(b, "\n## %s\n", title)
	writeBlock(b, language, strings.TrimRight(text, "\n "))
}

func writeFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	writeSection(b, title, "text", flags.FlagUsages())
}

// writeProse turns a help text into Markdown: paragraphs stay, indented lines
// become code, headings of cobra's own texts fit the page.
func writeProse(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	for block := range strings.SplitSeq(text, "\n\n") {
		block = strings.Trim(block, "\n")
		switch {
		case block == "":
		case strings.HasPrefix(block, "\t") || strings.HasPrefix(block, "  "):
			writeBlock(b, "text", dedent(block))
		case strings.HasPrefix(block, "#### "):
			fmt.Fprintf(b, "\n## %s\n", strings.TrimSuffix(strings.TrimPrefix(block, "#### "), ":"))
		default:
			block = strings.ReplaceAll(strings.ReplaceAll(block, "  ", " "), "<", `\<`)
			b.WriteString("\n" + block + "\n")
		}
	}
}

func dedent(block string) string {
	lines := strings.Split(block, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

func writeLinks(b *strings.Builder, cmd *cobra.Command) {
	if cmd.HasParent() {
		fmt.Fprintf(b, "\n## See also\n\n- [%s](%s): %s\n", cmd.Parent().CommandPath(), pageName(cmd.Parent()), cmd.Parent().Short)
		if list := children(cmd); len(list) > 0 {
			writeList(b, list)
		}
		return
	}
	list := children(cmd)
	for _, g := range cmd.Groups() {
		var members []*cobra.Command
		for _, c := range list {
			if c.GroupID == g.ID {
				members = append(members, c)
			}
		}
		writeGroup(b, strings.TrimSuffix(g.Title, ":"), members)
	}
	var topics []*cobra.Command
	for _, c := range list {
		if c.IsAdditionalHelpTopicCommand() {
			topics = append(topics, c)
		}
	}
	writeGroup(b, "Help topics", topics)
}

func writeGroup(b *strings.Builder, title string, list []*cobra.Command) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	writeList(b, list)
}

func writeList(b *strings.Builder, list []*cobra.Command) {
	for _, c := range list {
		fmt.Fprintf(b, "- [%s](%s): %s\n", c.CommandPath(), pageName(c), c.Short)
	}
}
