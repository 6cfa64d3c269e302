// Package app is the program: it wires the commands, turns signals into
// cancellation and errors into exit codes. It holds nothing else.
package app

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/klog/v2"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/cmd/root"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/doctor/known"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// Main runs labctl for this process and gives its exit code.
func Main() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	defer watchSignals(cancel)()
	return Run(ctx, iostreams.System(os.LookupEnv), os.LookupEnv, os.Args)
}

// watchSignals cancels with ErrInterrupted at the first Ctrl-C or SIGTERM. The
// second one has its default effect: it ends the process at once.
func watchSignals(cancel context.CancelCauseFunc) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; ok {
			signal.Stop(signals)
			cancel(clierr.ErrInterrupted)
		}
	}()
	return func() { signal.Stop(signals) }
}

// Run runs one command line and gives its exit code. args[0] is the name the
// program was called by.
func Run(ctx context.Context, streams *iostreams.Streams, lookupEnv func(string) (string, bool), args []string) int {
	// kind reads the name of its network from the environment of the process,
	// also as a library, so it must be there before anything starts.
	if err := os.Setenv(cluster.NetworkEnv, engine.NetworkName); err != nil {
		slog.Debug("can't choose the network", "error", err)
	}
	f := newFactory(streams, lookupEnv)
	routeLibraryLogs(f.Log)
	cmd := root.NewCmd(f)
	cmd.SetArgs(args[1:])
	cmd.SetIn(streams.In)
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.ErrOut)
	err := cmd.ExecuteContext(ctx)
	console := f.Console()
	defer console.Close()
	if err == nil {
		return clierr.CodeOK
	}
	if cause := context.Cause(ctx); errors.Is(cause, clierr.ErrInterrupted) && !errors.Is(err, clierr.ErrInterrupted) {
		// Libraries report a cancelled context in many words; the user knows one.
		err = &clierr.Error{Op: "stopped", Err: clierr.ErrInterrupted, Detail: err.Error()}
	}
	if errors.Is(err, clierr.ErrInterrupted) {
		err = clierr.Wrap(err, "", "finished steps stay, half-made things were removed; the same command goes on from there")
	}
	var silent *cmdutil.ReportedError
	if errors.As(err, &silent) {
		return silent.Code
	}
	if isUsage(err) {
		err = clierr.Usage("run `labctl --help` for the commands and flags", "%w", err)
	}
	if clierr.Describe(err).Hint == "" {
		err = known.Annotate(err, "")
	}
	console.Error(err)
	return clierr.Code(err)
}

// isUsage tells cobra's own errors about commands and groups of flags, which
// have no type and no hook, from ours.
func isUsage(err error) bool {
	var known *clierr.Error
	if errors.As(err, &known) {
		return false
	}
	for _, p := range []string{"unknown command", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), p) {
			return true
		}
	}
	return false
}

// routeLibraryLogs sends what libraries log past their callers to the debug
// log, so that it never breaks the progress display.
func routeLibraryLogs(l *slog.Logger) {
	slog.SetDefault(l)
	log.SetFlags(0)
	log.SetOutput(logWriter{l})
	klog.SetSlogLogger(l)
}

type logWriter struct{ l *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.l.Debug(strings.TrimSpace(string(p)), "from", "library")
	return len(p), nil
}

var _ ui.Sink = (*ui.Console)(nil)
