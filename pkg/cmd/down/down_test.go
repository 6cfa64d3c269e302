package down

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Down    engine.DownOptions
	Timeout cmdutil.Timeout
	Output  ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Down, o.Timeout, o.Output} }, map[string]cmdtest.Line[given]{
		"a lab":   {Args: []string{"x"}, Want: given{Down: engine.DownOptions{Lab: "x"}, Output: ui.Text}},
		"all":     {Args: []string{"--all", "--purge"}, Want: given{Down: engine.DownOptions{All: true, Purge: true}, Output: ui.Text}},
		"keep":    {Args: []string{"x", "--keep-cluster", "-ojson"}, Want: given{Down: engine.DownOptions{Lab: "x", KeepCluster: true}, Output: ui.JSON}},
		"cluster": {Args: []string{"x", "--context", "c"}, Want: given{Down: engine.DownOptions{Lab: "x", Target: engine.Target{Context: "c"}}, Output: ui.Text}},
		"forget":  {Args: []string{"x", "--forget"}, Want: given{Down: engine.DownOptions{Lab: "x", Forget: true}, Output: ui.Text}},
		"timeout": {Args: []string{"x", "--timeout=90s"}, Want: given{Down: engine.DownOptions{Lab: "x"}, Timeout: cmdutil.Timeout(90 * time.Second), Output: ui.Text}},

		"neither":             {Code: clierr.CodeUsage},
		"two labs":            {Args: []string{"x", "y"}, Code: clierr.CodeUsage},
		"a lab and all":       {Args: []string{"x", "--all"}, Code: clierr.CodeUsage},
		"purge of one":        {Args: []string{"x", "--purge"}, Code: clierr.CodeUsage},
		"purge but keep it":   {Args: []string{"--all", "--purge", "--keep-cluster"}, Code: clierr.CodeUsage},
		"forget all":          {Args: []string{"--all", "--forget"}, Code: clierr.CodeUsage},
		"purge without a lab": {Args: []string{"--purge"}, Code: clierr.CodeUsage},
	})
}

// fake is an engine with a fixed answer.
type fake struct {
	res *engine.DownResult
	err error
}

func (f fake) Down(_ context.Context, _ engine.DownOptions, sink ui.Sink) (*engine.DownResult, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "cluster", Title: "Cluster"})
	return f.res, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	removed := engine.DownResult{
		Labs: []string{"a", "b"}, Removed: []string{"lab a", "release b"}, Kept: []string{"namespace lab-b (labctl did not make it)"},
		Steps: []engine.Timing{{Step: "remove-a", Seconds: 2}},
	}
	everything := engine.DownResult{
		Labs: []string{"a", "b", "c"}, Removed: []string{"lab a", "lab b", "lab c", "kind cluster labctl", "image cache", "images", "state directory"},
		Kept:  []string{"lab d on context c of /k, which did not answer"},
		Steps: []engine.Timing{{Step: "cluster", Seconds: 3}},
	}
	nothing := engine.DownResult{Labs: []string{}, Removed: []string{}, Steps: []engine.Timing{}}
	broken := errors.New("broken")
	tests := map[string]struct {
		fake   fake
		output ui.Format
		golden string
	}{
		"removed":         {fake{res: &removed}, ui.Text, "removed.txt"},
		"removed as JSON": {fake{res: &removed}, ui.JSON, "removed.json"},
		"all":             {fake{res: &everything}, ui.Text, "all.txt"},
		"all as JSON":     {fake{res: &everything}, ui.JSON, "all.json"},
		"nothing":         {fake{res: &nothing}, ui.Text, "nothing.txt"},
		"nothing as JSON": {fake{res: &nothing}, ui.JSON, "nothing.json"},
		// What was removed before the failure is told too.
		"a part":  {fake{res: &removed, err: broken}, ui.Text, "removed.txt"},
		"failure": {fake{err: broken}, ui.Text, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{
				IO: s.IO, Output: tt.output, Console: s.Console,
				Engine: func() (Downer, error) { return tt.fake, nil },
			}
			if err := run(t.Context(), o); !errors.Is(err, tt.fake.err) {
				t.Fatalf("error %v, want %v", err, tt.fake.err)
			}
			s.WantOut(t, tt.golden)
			s.WantErrOut(t, "==> Cluster")
		})
	}
}

func TestNoEngine(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := cmdtest.NewStreams()
	o := &Options{IO: s.IO, Engine: func() (Downer, error) { return nil, broken }}
	if err := run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// slow is an engine that removes one lab and needs all the time it gets for the
// next.
type slow struct{}

func (slow) Down(ctx context.Context, _ engine.DownOptions, sink ui.Sink) (*engine.DownResult, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "remove-b", Title: "Lab b"})
	<-ctx.Done()
	return &engine.DownResult{Labs: []string{"a"}, Removed: []string{"lab a"}, Steps: []engine.Timing{}}, context.Cause(ctx)
}

// TestTimeout: what was removed in time is told.
func TestTimeout(t *testing.T) {
	t.Parallel()
	tests := map[string]engine.DownOptions{"down --all": {All: true}, "down b": {Lab: "b"}}
	for command, down := range tests {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := cmdtest.NewStreams()
				o := &Options{
					IO: s.IO, Console: s.Console, Engine: func() (Downer, error) { return slow{}, nil },
					Down: down, Timeout: cmdutil.Timeout(time.Minute), Output: ui.Text,
				}
				d := clierr.Describe(run(t.Context(), o))
				if d.Error != command+": --timeout 1m ran out during: Lab b" || d.Code != clierr.CodeFailed || d.Hint == "" {
					t.Errorf("error %+v", d)
				}
				s.WantOut(t, "cut-off.txt")
			})
		})
	}
}
