package engine

import (
	"context"
	"fmt"
	"slices"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/ui"
)

// ImageStatus is one image and the labs that use it.
type ImageStatus struct {
	image.Entry

	Labs []string `json:"labs"`
}

// MakeOptions say which images to make, and how.
type MakeOptions struct {
	Names []string // empty: all
	Build bool     // never pull from the configured registry
	Force bool     // also what is there
}

// ListImages tells which images there are, where, and for what.
func (e *Engine) ListImages(ctx context.Context) ([]ImageStatus, error) {
	entries, err := e.Images.List(ctx)
	if err != nil {
		return nil, err
	}
	users, err := e.imageUsers(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]ImageStatus, 0, len(entries))
	for _, en := range entries {
		list = append(list, ImageStatus{Entry: en, Labs: append([]string{}, users[en.Name]...)})
	}
	return list, nil
}

// imageUsers gives the labs that use each image.
func (e *Engine) imageUsers(ctx context.Context) (map[string][]string, error) {
	names, err := e.Catalog.Names()
	if err != nil {
		return nil, err
	}
	users := map[string][]string{}
	for _, lab := range names {
		p, err := e.plan(ctx, lab, Target{})
		if err != nil {
			return nil, err
		}
		for _, img := range p.images {
			users[img] = append(users[img], lab)
		}
	}
	return users, nil
}

// MakeImages fills the cache with the named images, or all.
func (e *Engine) MakeImages(ctx context.Context, o MakeOptions, sink ui.Sink) (map[string]image.Ref, error) {
	names := slices.Clone(o.Names)
	if len(names) == 0 {
		names = e.Images.Names()
	}
	for _, n := range names {
		if !slices.Contains(e.Images.Names(), n) {
			return nil, clierr.Usage("labctl images list shows the images", "there is no image %q%s", n, near.Hint(n, e.Images.Names()))
		}
	}
	unlock, err := e.lock(ctx, Target{}, "labctl images", sink)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var refs map[string]image.Ref
	r := newRunner(sink)
	err = r.run(ctx, step{id: image.StepID, title: "Images", run: func(ctx context.Context, rep reporter) (note string, err error) {
		if o.Build {
			refs, err = e.Images.Build(ctx, names, o.Force, rep)
		} else {
			refs, err = e.Images.Ensure(ctx, names, rep)
		}
		return fmt.Sprintf("%d ready", len(refs)), err
	}})
	return refs, err
}

// PruneImages removes images that nothing stands for any more.
func (e *Engine) PruneImages(ctx context.Context, o image.PruneOptions, sink ui.Sink) (image.PruneReport, error) {
	unlock, err := e.lock(ctx, Target{}, "labctl images prune", sink)
	if err != nil {
		return image.PruneReport{}, err
	}
	defer unlock()
	var report image.PruneReport
	err = newRunner(sink).run(ctx, step{id: "prune", title: "Images", run: func(ctx context.Context, _ reporter) (note string, err error) {
		report, err = e.Images.Prune(ctx, o)
		return fmt.Sprintf("%d removed", len(report.Removed)), err
	}})
	return report, err
}
