package root

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
)

func tree() (*cobra.Command, *bytes.Buffer, *cmdutil.Factory) {
	streams, _, out, errOut := iostreams.Test()
	f := &cmdutil.Factory{IO: streams, Global: &cmdutil.Global{}}
	cmd := NewCmd(f)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	return cmd, out, f
}

// paths gives the words after "labctl" of every command and help topic.
func paths(cmd *cobra.Command) [][]string {
	list := [][]string{strings.Fields(cmd.CommandPath())[1:]}
	for _, c := range cmd.Commands() {
		list = append(list, paths(c)...)
	}
	return list
}

// TestHelp holds the help text of every command; making it must touch nothing
// but the factory's values.
func TestHelp(t *testing.T) {
	t.Parallel()
	all, _, _ := tree()
	made := map[string]bool{}
	for _, path := range paths(all) {
		name := strings.Join(append([]string{"labctl"}, path...), "-")
		made[name+".txt"] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, out, _ := tree()
			cmd.SetArgs(append([]string{"help"}, path...))
			if err := cmd.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, out.Bytes(), "help/"+name+".txt")
		})
	}
	files, err := os.ReadDir(filepath.Join("testdata", "help"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !made[f.Name()] {
			t.Errorf("testdata/help/%s belongs to no command", f.Name())
		}
	}
}

func TestGlobalFlags(t *testing.T) {
	t.Parallel()
	cmd, _, f := tree()
	cmd.SetArgs([]string{"help", "--labs-dir", "l", "--state-dir", "s", "--plain", "--debug"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cmdutil.Global{LabsDir: "l", StateDir: "s", Plain: true, Debug: true}, *f.Global); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

// TestEveryCommandIsDescribed finds what a new command easily forgets.
func TestEveryCommandIsDescribed(t *testing.T) {
	t.Parallel()
	cmd, _, _ := tree()
	for _, c := range cmd.Commands() {
		if c.Short == "" || c.GroupID == "" && c.Runnable() {
			t.Errorf("%s has no short text or no group", c.CommandPath())
		}
	}
}
