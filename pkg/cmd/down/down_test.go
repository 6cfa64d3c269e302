package down

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args   []string
		want   engine.DownOptions
		output ui.Format
		code   int
	}{
		"a lab":   {args: []string{"x"}, want: engine.DownOptions{Lab: "x"}, output: ui.Text},
		"all":     {args: []string{"--all", "--purge"}, want: engine.DownOptions{All: true, Purge: true}, output: ui.Text},
		"keep":    {args: []string{"x", "--keep-cluster", "-ojson"}, want: engine.DownOptions{Lab: "x", KeepCluster: true}, output: ui.JSON},
		"cluster": {args: []string{"x", "--context", "c"}, want: engine.DownOptions{Lab: "x", Target: engine.Target{Context: "c"}}, output: ui.Text},
		"forget":  {args: []string{"x", "--forget"}, want: engine.DownOptions{Lab: "x", Forget: true}, output: ui.Text},

		"neither":             {code: clierr.CodeUsage},
		"two labs":            {args: []string{"x", "y"}, code: clierr.CodeUsage},
		"a lab and all":       {args: []string{"x", "--all"}, code: clierr.CodeUsage},
		"purge of one":        {args: []string{"x", "--purge"}, code: clierr.CodeUsage},
		"purge but keep it":   {args: []string{"--all", "--purge", "--keep-cluster"}, code: clierr.CodeUsage},
		"forget all":          {args: []string{"--all", "--forget"}, code: clierr.CodeUsage},
		"purge without a lab": {args: []string{"--purge"}, code: clierr.CodeUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got *Options
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = o
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			err := cmd.ExecuteContext(t.Context())
			if clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if err != nil {
				if clierr.Describe(err).Hint == "" {
					t.Errorf("no hint: %v", err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got.Down); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if got.Output != tt.output {
				t.Errorf("output %q, want %q", got.Output, tt.output)
			}
		})
	}
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
			streams, _, out, errOut := iostreams.Test()
			o := &Options{
				IO: streams, Output: tt.output, Console: func() *ui.Console { return ui.NewConsole(streams, false) },
				Engine: func() (Downer, error) { return tt.fake, nil },
			}
			if err := run(t.Context(), o); !errors.Is(err, tt.fake.err) {
				t.Fatalf("error %v, want %v", err, tt.fake.err)
			}
			if tt.golden != "" {
				golden.Equal(t, out.Bytes(), tt.golden)
			} else if out.Len() > 0 {
				t.Errorf("stdout has %q", out)
			}
			if !strings.Contains(errOut.String(), "==> Cluster") {
				t.Errorf("no progress on stderr: %q", errOut)
			}
		})
	}
}

func TestNoEngine(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	streams, _, _, _ := iostreams.Test()
	o := &Options{IO: streams, Engine: func() (Downer, error) { return nil, broken }}
	if err := run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
