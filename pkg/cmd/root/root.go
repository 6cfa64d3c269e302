// Package root is the command `labctl` itself: its groups, global flags and
// help topics.
package root

import (
	"fmt"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmd/breaker"
	"labctl.dev/labctl/pkg/cmd/check"
	"labctl.dev/labctl/pkg/cmd/doctor"
	"labctl.dev/labctl/pkg/cmd/down"
	"labctl.dev/labctl/pkg/cmd/explain"
	"labctl.dev/labctl/pkg/cmd/fix"
	"labctl.dev/labctl/pkg/cmd/hint"
	"labctl.dev/labctl/pkg/cmd/images"
	"labctl.dev/labctl/pkg/cmd/kubeconfig"
	"labctl.dev/labctl/pkg/cmd/lint"
	"labctl.dev/labctl/pkg/cmd/list"
	"labctl.dev/labctl/pkg/cmd/logs"
	"labctl.dev/labctl/pkg/cmd/newlab"
	"labctl.dev/labctl/pkg/cmd/open"
	"labctl.dev/labctl/pkg/cmd/pause"
	"labctl.dev/labctl/pkg/cmd/receipt"
	"labctl.dev/labctl/pkg/cmd/render"
	"labctl.dev/labctl/pkg/cmd/reset"
	"labctl.dev/labctl/pkg/cmd/shell"
	"labctl.dev/labctl/pkg/cmd/smoke"
	"labctl.dev/labctl/pkg/cmd/solve"
	"labctl.dev/labctl/pkg/cmd/status"
	"labctl.dev/labctl/pkg/cmd/task"
	"labctl.dev/labctl/pkg/cmd/up"
	"labctl.dev/labctl/pkg/cmd/version"
	"labctl.dev/labctl/pkg/cmdutil"
)

// NewCmd makes the whole command tree.
func NewCmd(f *cmdutil.Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "labctl <command>",
		Short: "MLOps labs on a local Kubernetes cluster",
		Long: heredoc.Doc(`
			labctl brings MLOps labs up on a local kind cluster: a model registry,
			serving, drift monitoring, retraining and more, each as one Helm release that
			you work on with the tools you know.
		`),
		Example: heredoc.Doc(`
			labctl list
			labctl up model-registry
			labctl task model-registry
			labctl check model-registry
			labctl down model-registry
		`),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cmdutil.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return clierr.Usage(fmt.Sprintf("run `%s --help` for its flags", c.CommandPath()), "%w", err)
	})
	pf := cmd.PersistentFlags()
	pf.StringVar(&f.Global.LabsDir, "labs-dir", "", "directory with labs, instead of the built-in ones")
	pf.StringVar(&f.Global.StateDir, "state-dir", "", "directory for kubeconfig, locks, logs and your history")
	pf.BoolVar(&f.Global.Plain, "plain", false, "print progress as plain lines, also on a terminal")
	pf.BoolVar(&f.Global.Debug, "debug", false, "print what happens inside (implies --plain)")
	_ = cmd.MarkPersistentFlagDirname("labs-dir")

	const learn, practise, machine, author = "learn", "practise", "machine", "author"
	cmd.AddGroup(&cobra.Group{ID: learn, Title: "Labs:"}, &cobra.Group{ID: practise, Title: "Practice:"}, &cobra.Group{ID: machine, Title: "Machine:"},
		&cobra.Group{ID: author, Title: "Authors:"})
	add := func(group string, list ...*cobra.Command) {
		for _, c := range list {
			c.GroupID = group
			cmd.AddCommand(c)
		}
	}
	add(learn, list.NewCmd(f, nil), up.NewCmd(f, nil), down.NewCmd(f, nil), status.NewCmd(f, nil),
		open.NewCmd(f, nil), shell.NewCmd(f, nil), logs.NewCmd(f, nil), reset.NewCmd(f, nil))
	add(practise, task.NewCmd(f, nil), check.NewCmd(f, nil), hint.NewCmd(f, nil), solve.NewCmd(f, nil),
		breaker.NewCmd(f, nil), fix.NewCmd(f, nil), explain.NewCmd(f, nil), receipt.NewCmd(f, nil))
	add(machine, doctor.NewCmd(f, nil), images.NewCmd(f), pause.NewCmd(f, nil), pause.NewResumeCmd(f, nil),
		kubeconfig.NewCmd(f, nil), version.NewCmd(f, nil))
	add(author, newlab.NewCmd(f, nil), lint.NewCmd(f, nil), render.NewCmd(f, nil), smoke.NewCmd(f, nil))
	cmd.SetHelpCommandGroupID(machine)
	cmd.SetCompletionCommandGroupID(machine)
	addTopics(cmd)
	return cmd
}
