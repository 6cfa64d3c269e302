package cmdutil

import (
	"fmt"

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
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return argsError(cmd, "needs %s, got %d arguments", what, len(args))
	}
}

// MaxArgs is cobra.MaximumNArgs with a message that shows the usage.
func MaxArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return argsError(cmd, "takes %s, got %d arguments", what, len(args))
	}
}

// MinArgs is cobra.MinimumNArgs with a message that shows the usage.
func MinArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= n {
			return nil
		}
		return argsError(cmd, "needs %s, got %d arguments", what, len(args))
	}
}

// RangeArgs is cobra.RangeArgs with a message that shows the usage.
func RangeArgs(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return argsError(cmd, "needs %s, got %d arguments", what, len(args))
	}
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
