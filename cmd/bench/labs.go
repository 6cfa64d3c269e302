package main

import (
	"context"
	"encoding/json"
	"fmt"

	"labctl.dev/labctl/pkg/clierr"
)

// labFigures are what one lab costs when it is the only one on its cluster.
// Times are seconds; memory is that of the node in GB.
type labFigures struct {
	name                     string
	up, check, reset, memory float64
}

// everyLab brings each lab up alone, once: the samples say what a lab costs, the
// comparison with bare kind is for the one lab of the rounds.
func (b *bench) everyLab(ctx context.Context) error {
	out, _, err := b.labctl(ctx, "list", "-o", "json")
	if err != nil {
		return err
	}
	var labs []struct{ Name string }
	if err := json.Unmarshal(out, &labs); err != nil {
		return fmt.Errorf("read the list of labs: %w", err)
	}
	for _, l := range labs {
		f, err := b.oneLab(ctx, l.Name)
		if err != nil {
			return fmt.Errorf("lab %s: %w", l.Name, err)
		}
		b.results.labs = append(b.results.labs, f)
	}
	return nil
}

func (b *bench) oneLab(ctx context.Context, name string) (f labFigures, err error) {
	progress("lab " + name + " alone")
	f.name = name
	if _, f.up, err = b.labctl(ctx, "up", name); err != nil {
		return f, err
	}
	if err := wait(ctx, b.settle); err != nil {
		return f, err
	}
	if f.memory, err = b.readMemory(ctx); err != nil {
		return f, err
	}
	if _, f.check, err = b.labctl(ctx, "check", name); !exited(err, clierr.CodeCheck) {
		return f, fmt.Errorf("labctl check of a fresh lab: want exit code %d, got %w", clierr.CodeCheck, err)
	}
	if _, f.reset, err = b.labctl(ctx, "reset", name, "--yes"); err != nil {
		return f, err
	}
	_, _, err = b.labctl(ctx, "down", "--all")
	return f, err
}
