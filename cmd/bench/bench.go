package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/engine"
)

// The clusters of the three ways.
const (
	bareCluster   = "labctl-bench-a"
	byHandCluster = "labctl-bench-b"
	labctlCluster = "labctl-bench-c"
)

// How often the quick commands are measured in a round.
const (
	upAgainTimes = 3
	listTimes    = 10
	checkTimes   = 3
)

// cleanUpTime bounds what is done after a failure or an interrupt.
const cleanUpTime = 3 * time.Minute

// bench is one run.
type bench struct {
	options

	dir     string // scratch
	images  images
	network bool // kind's network was there before

	results *results
}

func (b *bench) kubeconfig() string { return filepath.Join(b.dir, "kubeconfig") }
func (b *bench) chart() string      { return filepath.Join(b.dir, "labs", b.lab, "chart") }
func (b *bench) values() string     { return filepath.Join(b.dir, "values.yaml") }
func (b *bench) kindConfig() string { return filepath.Join(b.dir, "kind.yaml") }

// prepare does once what is not measured: the images, which a first `up` makes,
// the chart's dependencies and the configuration files.
func (b *bench) prepare(ctx context.Context) error {
	b.network = networkExists(ctx, "kind")
	for _, name := range []string{bareCluster, byHandCluster} { // of a run that was killed
		if err := b.kindDelete(ctx, name); err != nil {
			return err
		}
	}
	progress("prepare: one `labctl up` and `down` fill all caches")
	if _, _, err := b.up(ctx); err != nil {
		return err
	}
	if _, _, err := b.labctl(ctx, "down", "--all"); err != nil {
		return err
	}
	var err error
	if b.images, err = b.labImages(ctx); err != nil {
		return err
	}
	for _, ref := range b.images.refs {
		if err := intoEngine(ctx, ref); err != nil {
			return err
		}
	}
	if err := b.writeKindConfig(ctx); err != nil {
		return err
	}
	return b.prepareChart(ctx)
}

// bareKind is item (a).
func (b *bench) bareKind(ctx context.Context) error {
	progress("(a) kind create cluster --wait")
	seconds, err := b.kindCreate(ctx, bareCluster, "--wait", "5m")
	if err != nil {
		return err
	}
	b.results.add(itemKind, seconds)
	return b.kindDelete(ctx, bareCluster)
}

// byHand is item (b): what the commands of a person who knows them take, without
// the time to type them.
func (b *bench) byHand(ctx context.Context) error {
	progress("(b) kind create, kind load, helm install --wait")
	created, err := b.kindCreate(ctx, byHandCluster)
	if err != nil {
		return err
	}
	load := []string{"load", "docker-image", "--name", byHandCluster}
	for _, ref := range b.images.refs {
		load = append(load, ref.String())
	}
	_, loaded, err := command(ctx, nil, b.kind, load...)
	if err != nil {
		return err
	}
	_, installed, err := command(ctx, nil, b.helm, "install", b.lab, b.chart(), "--kubeconfig", b.kubeconfig(),
		"--namespace", "lab-"+b.lab, "--create-namespace", "--values", b.values(), "--wait", "--wait-for-jobs", "--timeout", "10m")
	if err != nil {
		return err
	}
	b.results.add(itemByHand, created+loaded+installed)
	b.results.addStep(itemByHand, "kind create", created)
	b.results.addStep(itemByHand, "kind load docker-image", loaded)
	b.results.addStep(itemByHand, "helm install --wait", installed)
	return b.kindDelete(ctx, byHandCluster)
}

// withLabctl is items (c) to (i), and the memory with the lab up.
func (b *bench) withLabctl(ctx context.Context) error {
	progress("(c) labctl up, (d) labctl up again, (e) labctl list")
	steps, seconds, err := b.up(ctx)
	if err != nil {
		return err
	}
	b.results.add(itemUp, seconds)
	for _, s := range steps {
		if !s.Skipped {
			b.results.addStep(itemUp, s.Step, s.Seconds)
		}
	}
	upAt := time.Now()
	for range upAgainTimes {
		if err := b.measure(ctx, itemUpAgain, "up", b.lab); err != nil {
			return err
		}
	}
	for range listTimes {
		if err := b.measure(ctx, itemList, "list"); err != nil {
			return err
		}
	}
	if err := wait(ctx, time.Until(upAt.Add(b.settle))); err != nil {
		return err
	}
	used, err := b.readMemory(ctx)
	if err != nil {
		return err
	}
	b.results.add(itemMemory, used)
	if err := b.practice(ctx); err != nil {
		return err
	}
	return b.measure(ctx, itemDown, "down", "--all")
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// practice is items (g), (h) and (i): what a learner waits for.
func (b *bench) practice(ctx context.Context) error {
	progress("(g) labctl check of the fresh lab, (h) of the solved one, (i) labctl reset")
	for range checkTimes {
		_, seconds, err := b.labctl(ctx, "check", b.lab)
		if !exited(err, clierr.CodeCheck) {
			return fmt.Errorf("labctl check of a fresh lab: want exit code %d, got %w", clierr.CodeCheck, err)
		}
		b.results.add(itemFailed, seconds)
	}
	if _, _, err := b.labctl(ctx, "solve", b.lab, "--yes"); err != nil {
		return err
	}
	// The active checks are the lab's own pace, so they are not timed; the ones
	// that latch must have passed once for the others to be settled.
	if _, _, err := b.labctl(ctx, "check", b.lab, "--yes"); err != nil {
		return err
	}
	for range checkTimes {
		if err := b.measure(ctx, itemPassed, "check", b.lab); err != nil {
			return err
		}
	}
	return b.measure(ctx, itemReset, "reset", b.lab, "--yes")
}

func (b *bench) up(ctx context.Context) (steps []engine.Timing, seconds float64, err error) {
	out, seconds, err := b.labctl(ctx, "up", b.lab, "-o", "json")
	if err != nil {
		return nil, 0, err
	}
	var result engine.UpResult
	if err := json.Unmarshal(out, &result); err != nil {
		return nil, 0, fmt.Errorf("read the result of labctl up: %w", err)
	}
	return result.Steps, seconds, nil
}

func (b *bench) measure(ctx context.Context, i item, args ...string) error {
	_, seconds, err := b.labctl(ctx, args...)
	if err == nil {
		b.results.add(i, seconds)
	}
	return err
}

// readMemory reads the node's use without the page cache that the kernel can
// drop at any time, as `docker stats` shows it. The result is in GB.
func (b *bench) readMemory(ctx context.Context) (float64, error) {
	out, err := docker(ctx, "stats", "--no-stream", "--format", "{{.MemUsage}}", cluster.NodeName(labctlCluster))
	if err != nil {
		return 0, err
	}
	used, _, _ := strings.Cut(out, " / ")
	bytes, err := units.RAMInBytes(strings.TrimSpace(used))
	if err != nil {
		return 0, fmt.Errorf("read the node's memory from %q: %w", out, err)
	}
	return float64(bytes) / 1e9, nil
}

// labctl runs labctl with a cluster and a state of its own, so that the bench
// leaves a cluster that somebody works with alone.
func (b *bench) labctl(ctx context.Context, args ...string) (out []byte, seconds float64, err error) {
	env := []string{"LABCTL_CLUSTER=" + labctlCluster, "LABCTL_STATE_DIR=" + filepath.Join(b.dir, "state")}
	return command(ctx, env, b.options.labctl, args...)
}

func (b *bench) kindCreate(ctx context.Context, name string, args ...string) (float64, error) {
	args = append([]string{"create", "cluster", "--name", name, "--image", b.images.node, "--config", b.kindConfig(), "--kubeconfig", b.kubeconfig()}, args...)
	_, seconds, err := command(ctx, nil, b.kind, args...)
	return seconds, err
}

func (b *bench) kindDelete(ctx context.Context, name string) error {
	_, _, err := command(ctx, nil, b.kind, "delete", "cluster", "--name", name, "--kubeconfig", b.kubeconfig())
	return err
}

// cleanUp leaves nothing behind, whatever happened. It does its work also after
// an interrupt.
func (b *bench) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	var errs []error
	for _, name := range []string{bareCluster, byHandCluster} {
		errs = append(errs, b.kindDelete(ctx, name))
	}
	_, _, err := b.labctl(ctx, "down", "--all")
	errs = append(errs, err)
	for _, ref := range b.images.refs {
		_, err := docker(ctx, "image", "rm", ref.String())
		errs = append(errs, err)
	}
	if !b.network && networkExists(ctx, "kind") {
		_, err := docker(ctx, "network", "rm", "kind")
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, "bench: clean up:", err)
	}
}

func networkExists(ctx context.Context, name string) bool {
	out, err := docker(ctx, "network", "ls", "--format", "{{.Name}}")
	return err == nil && slices.Contains(strings.Fields(out), name)
}
