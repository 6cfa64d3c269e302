package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"labctl.dev/labctl/pkg/app"
)

// TestMain makes the test binary a labctl too, for the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"labctl": func() { os.Exit(app.Main()) },
		// code runs a command line and fails unless its exit code is the first argument.
		"code": func() { os.Exit(expectCode(os.Args[1], os.Args[2:])) },
	})
}

// TestScripts runs whole command lines that need no container engine. PATH holds
// labctl alone; a script may put a docker of its own in $WORK/bin.
func TestScripts(t *testing.T) {
	t.Parallel()
	labctl, err := exec.LookPath("labctl")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Join(env.WorkDir, "bin")+string(filepath.ListSeparator)+filepath.Dir(labctl))
			env.Setenv("LABCTL_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("LABCTL_CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("LABCTL_CONFIG", filepath.Join(env.WorkDir, "config.yaml"))
			// No engine of this machine, and no registry, must answer.
			env.Setenv("DOCKER_HOST", "unix://"+filepath.Join(env.WorkDir, "no.sock"))
			env.Setenv("LABCTL_IMAGES", "home")
			return nil
		},
	})
}

func expectCode(want string, argv []string) int {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	if got := cmd.ProcessState.String(); got != "exit status "+want {
		_, _ = os.Stderr.WriteString("code: " + got + ", want " + want + "\n")
		return 1
	}
	return 0
}
