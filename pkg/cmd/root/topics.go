package root

import (
	"fmt"
	"strings"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/config"
)

// addTopics adds help texts that belong to no single command.
func addTopics(cmd *cobra.Command) {
	var env strings.Builder
	env.WriteString("Flags beat the environment, the environment beats the configuration file\n(config.yaml in labctl's configuration directory, or LABCTL_CONFIG), the file beats defaults.\n\n")
	for _, s := range config.Settings() {
		fmt.Fprintf(&env, "%s (key %s)\n    %s\n", s.Env, s.Key, s.Help)
	}
	env.WriteString("NO_COLOR\n    any value turns colour off\n")
	cmd.AddCommand(
		&cobra.Command{Use: "environment", Short: "Environment variables and the configuration file", Long: env.String()},
		&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: heredoc.Doc(`
			0    done
			1    failed
			2    wrong flags or arguments
			3    a check failed or a state is not as it must be
			4    the machine is not fit (labctl doctor tells why)
			130  stopped by Ctrl-C or SIGTERM
		`)},
	)
}
