package cluster

import (
	"errors"
	"strings"

	"sigs.k8s.io/kind/pkg/exec"

	"labctl.dev/labctl/pkg/clierr"
)

// outputLines is how much of a failed command's output goes into an error.
const outputLines = 15

// cause is a text in the output of a failed command and what to do about it.
type cause struct {
	text, id, why, hint string
}

// causes are tried in order: the first that fits wins.
//
//nolint:gochecknoglobals // a constant table
var causes = []cause{
	{"Cannot connect to the Docker daemon", "engine-down", "the container engine does not answer", "Start it (labctl doctor says how), then run the command again."},
	{
		"permission denied while trying to connect", "engine-permission", "you may not talk to the container engine",
		"Add yourself to its group (sudo usermod -aG docker $USER, then log in again).",
	},
	{"no space left on device", "disk-full", "the engine's disk is full", "Free some: labctl images prune, docker system prune."},
	{"port is already allocated", "port-taken", "the port for the API server was taken by another program", "Run the command again: another free port is picked."},
	{"address already in use", "port-taken", "the port for the API server was taken by another program", "Run the command again: another free port is picked."},
	{"non-overlapping IPv4 address pool", "network-pool", "the engine has no free address range for another network", "Remove unused ones: docker network prune."},
	{"too many open files", "inotify", "a limit of open files or inotify watches is too low", "labctl doctor --fix raises it."},
	{"could not find a log line that matches", "node-boot", "the node did not boot", "labctl doctor checks the engine; the node's serial log is kept."},
	{"is already in use by container", "node-name", "a container of that name exists", "Remove it if it is not needed: docker rm -f <name>."},
	{"network not found", "network-gone", "the engine's network went away", "Run the command again."},
}

// lostRace tells whether trying again may help: the port that kind had found
// free was taken before the engine bound it, or the `docker run` of a labctl
// that was killed has just made the node.
func lostRace(err error) bool {
	out := output(err)
	for _, text := range []string{"port is already allocated", "address already in use", "is already in use by container"} {
		if strings.Contains(out, text) {
			return true
		}
	}
	return false
}

// output gives what the failed command of kind printed, which is not in the
// text of its error.
func output(err error) string {
	if run := runError(err); run != nil {
		return string(run.Output)
	}
	return err.Error()
}

// runError finds the failed command in a chain of errors: kind's have a Cause
// where others have an Unwrap.
func runError(err error) *exec.RunError {
	for err != nil {
		if run := exec.RunErrorForError(err); run != nil {
			return run
		}
		err = errors.Unwrap(err)
	}
	return nil
}

// translate makes an error of kind one that a person can act on.
func translate(name, logs string, err error) error {
	e := &clierr.Error{Op: "cluster " + name, Err: err, ID: "cluster-create", Hint: "labctl doctor checks this machine."}
	out := output(err)
	if runError(err) != nil {
		e.Detail = tail(out, outputLines)
	}
	for _, c := range causes {
		if strings.Contains(out, c.text) {
			e.ID, e.Hint = c.id, c.hint
			if strings.HasPrefix(c.id, "engine-") {
				e.Code = clierr.CodeUnfit
			}
			e.Op = "cluster " + name + ": " + c.why
			break
		}
	}
	if logs != "" {
		e.Hint += " The node's logs are in " + logs + "."
	}
	return e
}

// tail gives the last lines that say something.
func tail(s string, n int) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimRight(line, "\r\n "); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
