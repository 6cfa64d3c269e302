// Package kubeconfig is the command `labctl kubeconfig`.
package kubeconfig

import (
	"context"
	"fmt"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
)

// Configurer gives a kubeconfig for a lab.
type Configurer interface {
	Kubeconfig(ctx context.Context, lab string, t engine.Target) (*engine.Kubeconfig, error)
	MergeKubeconfig(ctx context.Context, lab string, t engine.Target, into string) (*engine.Merged, error)
}

// Options are what the command works with.
type Options struct {
	IO     *iostreams.Streams
	Engine func() (Configurer, error)

	Lab    string
	Target engine.Target
	Path   bool
	Merge  bool
	Into   string
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Engine: func() (Configurer, error) { return f.Engine() }}
	cmd := &cobra.Command{
		Use:   "kubeconfig <lab>",
		Short: "Print a kubeconfig for a lab, or merge it into yours",
		Long: heredoc.Doc(`
			Print a kubeconfig whose namespace is the lab's. labctl keeps it in a private
			file and never touches ~/.kube/config, unless you ask with --merge; your
			current context stays what it is even then.
		`),
		Example: heredoc.Doc(`
			# for this shell only
			export KUBECONFIG=$(labctl kubeconfig model-registry --path)

			# as context "labctl-model-registry" beside your own clusters
			labctl kubeconfig model-registry --merge
		`),
		Args:              cmdutil.ExactArgs(1, "the name of a lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Lab = args[0]
			if o.Into != "" && !o.Merge {
				return clierr.Usage("add --merge", "--into works only with --merge")
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Target)
	cmd.Flags().BoolVar(&o.Path, "path", false, "print the path of the private file instead of its content")
	cmd.Flags().BoolVar(&o.Merge, "merge", false, "add the lab as a context to your kubeconfig")
	cmd.Flags().StringVar(&o.Into, "into", "", "the kubeconfig to merge into (default: the one kubectl uses)")
	cmd.MarkFlagsMutuallyExclusive("path", "merge")
	return cmd
}

func run(ctx context.Context, o *Options) error {
	e, err := o.Engine()
	if err != nil {
		return err
	}
	if o.Merge {
		m, err := e.MergeKubeconfig(ctx, o.Lab, o.Target, o.Into)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(o.IO.Out, "Context %s is in %s now; use it with:\n  kubectl --context %s get pods\n", m.Context, m.File, m.Context)
		return err
	}
	k, err := e.Kubeconfig(ctx, o.Lab, o.Target)
	if err != nil {
		return err
	}
	if o.Path {
		_, err = fmt.Fprintln(o.IO.Out, k.File)
		return err
	}
	_, err = o.IO.Out.Write(k.Content)
	return err
}
