package cmdutil

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/ui"
)

// AddOutputFlag adds -o/--output.
func AddOutputFlag(fs *pflag.FlagSet, f *ui.Format) {
	*f = ui.Text
	fs.VarP(f, "output", "o", "how to print the result: text or json")
}

// AddTargetFlags adds the flags that choose a cluster other than the built-in
// one.
func AddTargetFlags(fs *pflag.FlagSet, t *engine.Target) {
	fs.StringVar(&t.Kubeconfig, "kubeconfig", "", "kubeconfig of an existing cluster to use instead of the local kind cluster")
	fs.StringVar(&t.Context, "context", "", "context of that kubeconfig (default: its current context)")
	fs.StringVar(&t.Registry, "registry", "", "registry the nodes of that cluster pull from; missing images are pushed to it")
}

// ExactArgs is cobra.ExactArgs with a message that shows the usage.
func ExactArgs(n int, what string) cobra.PositionalArgs {
	return RangeArgs(n, n, what)
}

// MaxArgs is cobra.MaximumNArgs with a message that shows the usage.
func MaxArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return argsError(cmd, "takes %s, got %d arguments", what, len(args))
		}
		return noEmpty(cmd, args)
	}
}

// MinArgs is cobra.MinimumNArgs with a message that shows the usage. What
// follows the first n may be empty.
func MinArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return argsError(cmd, "needs %s, got %d arguments", what, len(args))
		}
		return noEmpty(cmd, args[:n])
	}
}

// RangeArgs is cobra.RangeArgs with a message that shows the usage.
func RangeArgs(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return argsError(cmd, "needs %s, got %d arguments", what, len(args))
		}
		return noEmpty(cmd, args)
	}
}

// noEmpty refuses what a shell makes of a variable that is not set: "" must not
// count as an argument that was left out.
func noEmpty(cmd *cobra.Command, args []string) error {
	if i := slices.Index(args, ""); i >= 0 {
		return argsError(cmd, "got an empty argument %d", i+1)
	}
	return nil
}

// NoArgs refuses any argument.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return clierr.Usage(fmt.Sprintf("run `%s --help` for the commands", cmd.CommandPath()), "unknown command %q for %q", args[0], cmd.CommandPath())
	}
	return argsError(cmd, "takes no arguments, got %q", args[0])
}

func argsError(cmd *cobra.Command, format string, args ...any) error {
	hint := fmt.Sprintf("usage: %s", cmd.UseLine())
	return clierr.Usage(hint, "%s "+format, append([]any{cmd.CommandPath()}, args...)...)
}
