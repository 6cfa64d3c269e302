package cmdutil

import (
	"github.com/spf13/cobra"
)

// CompletionFunc completes one argument of a command.
type CompletionFunc = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective)

// CompleteLabs completes the first argument with lab names.
func CompleteLabs(f *Factory) CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return labNames(f), cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteEndpoints completes a lab name and then one of its endpoints.
func CompleteEndpoints(f *Factory) CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return labNames(f), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return endpointNames(f, args[0]), cobra.ShellCompDirectiveNoFileComp
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// CompleteComponents completes a lab name and then one of its components.
func CompleteComponents(f *Factory) CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return labNames(f), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return componentNames(f, args[0]), cobra.ShellCompDirectiveNoFileComp
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// CompleteLabsOrDirs completes every argument with lab names, and with files
// as the shell does.
func CompleteLabsOrDirs(f *Factory) CompletionFunc {
	return func(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return labNames(f), cobra.ShellCompDirectiveDefault
	}
}

// CompleteTasks completes a lab name and then one of its tasks.
func CompleteTasks(f *Factory) CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return labNames(f), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return taskNames(f, args[0]), cobra.ShellCompDirectiveNoFileComp
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}
