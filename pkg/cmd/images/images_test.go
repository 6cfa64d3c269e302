package images

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Make   engine.MakeOptions
	Prune  image.PruneOptions
	Output ui.Format
}

type constructor = func(*cmdutil.Factory, func(context.Context, *Options) error) *cobra.Command

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cmd  constructor
		args []string
		want given
		code int
	}{
		"list":         {cmd: newListCmd, args: []string{"-ojson"}, want: given{Output: ui.JSON}},
		"list of one":  {cmd: newListCmd, args: []string{"x"}, code: clierr.CodeUsage},
		"build all":    {cmd: newBuildCmd, want: given{Make: engine.MakeOptions{Names: []string{}, Build: true}, Output: ui.Text}},
		"build two":    {cmd: newBuildCmd, args: []string{"a", "b", "--force"}, want: given{Make: engine.MakeOptions{Names: []string{"a", "b"}, Build: true, Force: true}, Output: ui.Text}},
		"pull one":     {cmd: newPullCmd, args: []string{"a", "-ojson"}, want: given{Make: engine.MakeOptions{Names: []string{"a"}}, Output: ui.JSON}},
		"prune":        {cmd: newPruneCmd, want: given{Output: ui.Text}},
		"prune all":    {cmd: newPruneCmd, args: []string{"--all"}, want: given{Prune: image.PruneOptions{All: true}, Output: ui.Text}},
		"prune of one": {cmd: newPruneCmd, args: []string{"x"}, code: clierr.CodeUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got given
			cmd := tt.cmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = given{o.Make, o.Prune, o.Output}
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownSubcommand(t *testing.T) {
	t.Parallel()
	streams, _, _, _ := iostreams.Test()
	cmd := NewCmd(&cmdutil.Factory{IO: streams})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"nonsense"})
	if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != clierr.CodeUsage {
		t.Errorf("exit code %d: %v", clierr.Code(err), err)
	}
}

// fake is an engine with fixed answers.
type fake struct{ err error }

func (f fake) ListImages(context.Context) ([]engine.ImageStatus, error) {
	entry := func(name string, way image.Way, size int64, inCache, inEngine bool) image.Entry {
		return image.Entry{
			Ref: image.Ref{Name: name, Tag: "0123456789ab", Way: way}, Description: "what it is", Build: "dockerfile",
			InCache: inCache, InEngine: inEngine, Ready: inCache || inEngine, Size: size,
		}
	}
	return []engine.ImageStatus{
		{Entry: entry("mlflow", image.Home, 123456789, true, true), Labs: []string{"model-registry", "serving"}},
		{Entry: entry("node", image.Public, 999999, false, true), Labs: []string{}},
		{Entry: entry("postgres", image.Home, 0, false, false), Labs: []string{"model-registry"}},
	}, f.err
}

func (f fake) MakeImages(_ context.Context, _ engine.MakeOptions, sink ui.Sink) (map[string]image.Ref, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: image.StepID, Title: "Images"})
	return map[string]image.Ref{
		"mlflow":   {Name: "mlflow", Tag: "0123456789ab", Way: image.Home},
		"postgres": {Name: "postgres", Tag: "ba9876543210", Way: image.Public},
	}, f.err
}

func (f fake) PruneImages(_ context.Context, o image.PruneOptions, sink ui.Sink) (image.PruneReport, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "prune", Title: "Images"})
	if !o.All {
		return image.PruneReport{Removed: []string{}}, f.err
	}
	return image.PruneReport{Removed: []string{"cache/mlflow:0123456789ab"}, CacheFreed: 2000000, EngineFreed: 3000}, f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		run    func(context.Context, *Options) error
		output ui.Format
		all    bool
		silent bool // no progress
	}{
		"list.txt":     {run: list, output: ui.Text, silent: true},
		"list.json":    {run: list, output: ui.JSON, silent: true},
		"made.txt":     {run: makeImages, output: ui.Text},
		"made.json":    {run: makeImages, output: ui.JSON},
		"pruned.txt":   {run: prune, output: ui.Text, all: true},
		"pruned.json":  {run: prune, output: ui.JSON, all: true},
		"nothing.json": {run: prune, output: ui.JSON},
		"unneeded.txt": {run: prune, output: ui.Text},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, errOut := iostreams.Test()
			o := &Options{
				IO: streams, Output: tt.output, Prune: image.PruneOptions{All: tt.all},
				Console: func() *ui.Console { return ui.NewConsole(streams, false) }, Engine: func() (Keeper, error) { return fake{}, nil },
			}
			if err := tt.run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, out.Bytes(), name)
			if strings.Contains(errOut.String(), "==> Images") == tt.silent {
				t.Errorf("stderr has %q", errOut)
			}
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, do := range map[string]func(context.Context, *Options) error{"list": list, "make": makeImages, "prune": prune} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, _ := iostreams.Test()
			o := &Options{
				IO: streams, Console: func() *ui.Console { return ui.NewConsole(streams, false) },
				Engine: func() (Keeper, error) { return fake{broken}, nil },
			}
			if err := do(t.Context(), o); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			o.Engine = func() (Keeper, error) { return nil, broken }
			if err := do(t.Context(), o); !errors.Is(err, broken) {
				t.Errorf("without an engine: %v", err)
			}
			if out.Len() > 0 {
				t.Errorf("stdout has %q", out)
			}
		})
	}
}
