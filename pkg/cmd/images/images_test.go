package images

import (
	"context"
	"errors"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Make   engine.MakeOptions
	Prune  image.PruneOptions
	Output ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cmd   cmdtest.Constructor[Options]
		lines map[string]cmdtest.Line[given]
	}{
		"list": {newListCmd, map[string]cmdtest.Line[given]{
			"as JSON": {Args: []string{"-ojson"}, Want: given{Output: ui.JSON}},
			"of one":  {Args: []string{"x"}, Code: clierr.CodeUsage},
		}},
		"build": {newBuildCmd, map[string]cmdtest.Line[given]{
			"all": {Want: given{Make: engine.MakeOptions{Names: []string{}, Build: true}, Output: ui.Text}},
			"two": {
				Args: []string{"a", "b", "--force"},
				Want: given{Make: engine.MakeOptions{Names: []string{"a", "b"}, Build: true, Force: true}, Output: ui.Text},
			},
		}},
		"pull": {newPullCmd, map[string]cmdtest.Line[given]{
			"one": {Args: []string{"a", "-ojson"}, Want: given{Make: engine.MakeOptions{Names: []string{"a"}}, Output: ui.JSON}},
		}},
		"prune": {newPruneCmd, map[string]cmdtest.Line[given]{
			"what is stale": {Want: given{Output: ui.Text}},
			"all":           {Args: []string{"--all"}, Want: given{Prune: image.PruneOptions{All: true}, Output: ui.Text}},
			"of one":        {Args: []string{"x"}, Code: clierr.CodeUsage},
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmdtest.Lines(t, tt.cmd, func(o *Options) given { return given{o.Make, o.Prune, o.Output} }, tt.lines)
		})
	}
}

func TestUnknownSubcommand(t *testing.T) {
	t.Parallel()
	s := cmdtest.NewStreams()
	cmd := NewCmd(&cmdutil.Factory{IO: s.IO})
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
	progress := []string{"==> Images"}
	tests := map[string]struct {
		run      func(context.Context, *Options) error
		output   ui.Format
		all      bool
		progress []string
	}{
		"list.txt":     {run: list, output: ui.Text},
		"list.json":    {run: list, output: ui.JSON},
		"made.txt":     {run: makeImages, output: ui.Text, progress: progress},
		"made.json":    {run: makeImages, output: ui.JSON, progress: progress},
		"pruned.txt":   {run: prune, output: ui.Text, all: true, progress: progress},
		"pruned.json":  {run: prune, output: ui.JSON, all: true, progress: progress},
		"nothing.json": {run: prune, output: ui.JSON, progress: progress},
		"unneeded.txt": {run: prune, output: ui.Text, progress: progress},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{
				IO: s.IO, Output: tt.output, Prune: image.PruneOptions{All: tt.all},
				Console: s.Console, Engine: func() (Keeper, error) { return fake{}, nil },
			}
			if err := tt.run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
			s.WantErrOut(t, tt.progress...)
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, do := range map[string]func(context.Context, *Options) error{"list": list, "make": makeImages, "prune": prune} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{
				IO: s.IO, Console: s.Console,
				Engine: func() (Keeper, error) { return fake{broken}, nil },
			}
			if err := do(t.Context(), o); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			o.Engine = func() (Keeper, error) { return nil, broken }
			if err := do(t.Context(), o); !errors.Is(err, broken) {
				t.Errorf("without an engine: %v", err)
			}
			s.WantOut(t, "")
		})
	}
}
