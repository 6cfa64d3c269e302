package cmdutil

import (
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/lab"
)

// Declined is the error of a command whose question was answered with no.
func Declined(op string) error {
	return clierr.New("--yes does it without asking", "%s: not done, as you say", op)
}

// CompleteFaults completes a lab name and then one of its faults.
func CompleteFaults(f *Factory) CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		switch len(args) {
		case 0:
			names = labNames(f)
		case 1:
			if l := labOf(f, args); l != nil {
				for _, fault := range l.Faults {
					names = append(names, fault.ID)
				}
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteTasksOf completes a flag with the tasks of the lab that the first
// argument names.
func CompleteTasksOf(f *Factory) CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		if l := labOf(f, args); l != nil {
			for _, t := range l.Tasks {
				names = append(names, t.ID)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// labOf gives the lab that the first argument names, if there is one.
func labOf(f *Factory, args []string) *lab.Lab {
	if len(args) == 0 {
		return nil
	}
	c, err := f.Catalog()
	if err != nil {
		return nil
	}
	entry, err := c.Get(args[0])
	if err != nil {
		return nil
	}
	return entry.Lab
}
