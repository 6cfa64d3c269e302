// Package cmdutil holds what commands share: the Factory that makes their
// dependencies, common flags and argument checks. It holds no logic of any
// single command.
package cmdutil

import (
	"context"
	"log/slog"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/config"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/lint"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/smoke"
	"labctl.dev/labctl/pkg/state"
	"labctl.dev/labctl/pkg/ui"
)

// Factory makes what commands need. Cheap things are values, things that touch
// files, the engine or a cluster are functions, so that help texts and
// completion never do.
type Factory struct {
	IO        *iostreams.Streams
	LookupEnv func(string) (string, bool)
	Log       *slog.Logger
	Global    *Global

	Config  func() (*config.Config, error)
	Console func() *ui.Console
	Catalog func() (*catalog.Catalog, error)
	State   func() (*state.Dir, error)
	Engine  func() (*engine.Engine, error)
	Linter  func() (*lint.Linter, error)
	Smoke   func() (*smoke.Prover, error)
	// Practice runs what a learner does in a lab.
	Practice func() (*practice.Practice, error)
	// Browse opens a page in the user's browser.
	Browse func(ctx context.Context, url string) error
}

// Global holds the flags of the root command.
type Global struct {
	LabsDir  string
	StateDir string
	Plain    bool
	Debug    bool
}
