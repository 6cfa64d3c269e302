package image

import (
	"context"
	"runtime"

	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/ui"
)

// Expect gives the references that a lab would get now, by the name of their
// image, and makes, pulls and starts nothing. Without an engine to ask, they
// are those of an engine on this machine's architecture.
func (s *Store) Expect(ctx context.Context, names []string) (map[string]Ref, error) {
	refs := make(map[string]Ref, len(names))
	if _, err := s.targetPlatform(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		way := s.way
		if way == Auto {
			way = Home
		}
		for _, name := range names {
			tag, err := s.set.Tag(name, way, "linux/"+runtime.GOARCH)
			if err != nil {
				return nil, err
			}
			refs[name] = Ref{Name: name, Tag: tag, Way: way}
		}
		return refs, nil
	}
	r := s.newRun(ui.Discard())
	defer r.release()
	if addr, err := s.container.Find(ctx); err == nil && addr != "" {
		if r.reg, err = cache.Open(addr); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		e, err := s.entry(ctx, r.reg, name)
		if err != nil {
			return nil, err
		}
		refs[name] = e.Ref
	}
	return refs, nil
}
