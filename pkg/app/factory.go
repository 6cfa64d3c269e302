package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/cli/browser"

	"labctl.dev/labctl/charts"
	"labctl.dev/labctl/images"
	"labctl.dev/labctl/labs"
	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/config"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/image/node"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/lint"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/smoke"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
	"labctl.dev/labctl/pkg/version"
)

// newFactory wires the program. Each function makes its thing once and on
// first use, in the order of their dependencies.
func newFactory(streams *iostreams.Streams, lookupEnv func(string) (string, bool)) *cmdutil.Factory {
	f := &cmdutil.Factory{IO: streams, LookupEnv: lookupEnv, Global: &cmdutil.Global{}}
	f.Log = slog.New(slog.NewTextHandler(debugWriter{f.Global, streams.ErrOut}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.Browse = func(_ context.Context, url string) error { return browser.OpenURL(url) }
	// depends on the flags
	f.Console = sync.OnceValue(func() *ui.Console { return ui.NewConsole(streams, f.Global.Plain || f.Global.Debug) })
	f.Config = sync.OnceValues(func() (*config.Config, error) { return loadConfig(lookupEnv, f.Global) })
	// depend on the configuration
	f.Catalog = sync.OnceValues(func() (*catalog.Catalog, error) { return openCatalog(f) })
	f.State = sync.OnceValues(func() (*state.Dir, error) { return openState(f) })
	f.Linter = sync.OnceValues(newLinter)
	// depends on all of them
	f.Engine = sync.OnceValues(func() (*engine.Engine, error) { return newEngine(f) })
	f.Smoke = sync.OnceValues(func() (*smoke.Prover, error) { return newProver(f) })
	f.Practice = sync.OnceValues(func() (*practice.Practice, error) { return newPractice(f) })
	return f
}

// debugWriter passes logs on only with --debug, which is known after the logger
// is made.
type debugWriter struct {
	flags *cmdutil.Global
	w     io.Writer
}

func (d debugWriter) Write(p []byte) (int, error) {
	if !d.flags.Debug {
		return len(p), nil
	}
	return d.w.Write(p)
}

func loadConfig(lookupEnv func(string) (string, bool), g *cmdutil.Global) (*config.Config, error) {
	c, err := config.Load(lookupEnv)
	if err != nil {
		return nil, err
	}
	for into, flag := range map[*config.Value]string{&c.LabsDir: g.LabsDir, &c.StateDir: g.StateDir} {
		if flag == "" {
			continue
		}
		abs, err := filepath.Abs(flag)
		if err != nil {
			return nil, err
		}
		into.Set(abs, config.Flag)
	}
	return c, c.Validate()
}

func openCatalog(f *cmdutil.Factory) (*catalog.Catalog, error) {
	c, err := f.Config()
	if err != nil {
		return nil, err
	}
	if c.LabsDir.Value != "" {
		return catalog.Open(c.LabsDir.Value)
	}
	return catalog.New(labs.FS), nil
}

func openState(f *cmdutil.Factory) (*state.Dir, error) {
	c, err := f.Config()
	if err != nil {
		return nil, err
	}
	return state.Open(c.StateDir.Value, state.WithWarnings(func(msg string) {
		f.Console().Emit(ui.Event{Kind: ui.Warn, Text: msg})
	}))
}

func newEngine(f *cmdutil.Factory) (*engine.Engine, error) {
	c, err := f.Config()
	if err != nil {
		return nil, err
	}
	labsCatalog, err := f.Catalog()
	if err != nil {
		return nil, err
	}
	dir, err := f.State()
	if err != nil {
		return nil, err
	}
	runner := execx.Local{}
	cli := docker.New(runner)
	logs := filepath.Join(dir.Root(), "logs", "images")
	store, err := image.New(image.Options{
		Docker: cli, Runner: runner, Definitions: images.FS, WorkDir: filepath.Join(c.CacheDir.Value, "images"), LogDir: logs,
		Registry: c.Registry.Value, Way: image.Way(c.Images.Value), Environ: os.Environ(), Node: node.New(node.Options{Docker: cli, Runner: runner}),
	})
	if err != nil {
		return nil, err
	}
	return engine.New(engine.Deps{
		Catalog: labsCatalog, Charts: charts.FS, State: dir, Docker: cli, Cluster: cluster.New(cli, owner{dir}, f.Log),
		Images: store, Doctor: doctor.New(doctor.Local(version.Get().Version, dir.Root())), Log: f.Log, ClusterName: c.Cluster.Value,
	}), nil
}

// newLinter holds labs against the charts and images of this labctl, also those
// of --labs-dir.
func newLinter() (*lint.Linter, error) {
	set, err := spec.Load(images.FS)
	if err != nil {
		return nil, err
	}
	return lint.New(lint.Config{Charts: charts.FS, Images: set.Names()}), nil
}

func newPractice(f *cmdutil.Factory) (*practice.Practice, error) {
	e, err := f.Engine()
	if err != nil {
		return nil, err
	}
	dir, err := f.State()
	if err != nil {
		return nil, err
	}
	return practice.New(practice.Deps{Engine: e, State: dir, Log: f.Log}), nil
}

func newProver(f *cmdutil.Factory) (*smoke.Prover, error) {
	e, err := f.Engine()
	if err != nil {
		return nil, err
	}
	dir, err := f.State()
	if err != nil {
		return nil, err
	}
	labs, err := f.Catalog()
	if err != nil {
		return nil, err
	}
	return smoke.New(smoke.Deps{Engine: e, Labs: labs, State: dir}), nil
}

// owner tells which nodes are ours. The id is read when it is asked for, so
// that commands that only look never draw one.
type owner struct{ dir *state.Dir }

func (o owner) Owns(source string) bool {
	id, err := o.dir.ClusterID()
	return err == nil && id.Owns(source)
}
