// Command bench measures `labctl up` against bare kind and against the way by
// hand, side by side in one run, and prints Markdown tables for
// docs/performance.md. `make bench` builds all it needs and starts it. It is a
// tool of this repository and no part of a release.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	labctl, kind, helm string
	lab                string
	rounds             int
	source             string
	settle             time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.labctl, "labctl", "bin/labctl", "the labctl to measure")
	flags.StringVar(&o.kind, "kind", "bin/bench/kind", "kind's own command")
	flags.StringVar(&o.helm, "helm", "bin/bench/helm", "Helm's own command")
	flags.StringVar(&o.lab, "lab", "model-registry", "the lab to bring up")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each item is measured")
	flags.StringVar(&o.source, "source", ".", "a checkout of this repository, for the charts")
	flags.DurationVar(&o.settle, "settle", 30*time.Second, "how long the lab is up before its memory is read")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.rounds < 1 {
		return o, errors.New("-rounds must be 1 or more")
	}
	for _, path := range []*string{&o.labctl, &o.kind, &o.helm, &o.source} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return o, err
		}
		*path = absolute
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "labctl-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, results: newResults()}
	defer b.cleanUp(ctx)
	if err := b.prepare(ctx); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	for i := range o.rounds {
		if err := b.round(ctx, i); err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	if err := b.everyLab(ctx); err != nil {
		return err
	}
	facts, err := b.facts(ctx)
	if err != nil {
		return err
	}
	return report(os.Stdout, facts, b.results)
}

// round measures every item once. Each round begins with another one, so that
// a machine that grows slower or faster does it to all alike.
func (b *bench) round(ctx context.Context, n int) error {
	items := []func(context.Context) error{b.bareKind, b.byHand, b.withLabctl}
	for i := range items {
		if err := items[(n+i)%len(items)](ctx); err != nil {
			return err
		}
	}
	return nil
}
