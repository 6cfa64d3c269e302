package image

import (
	"context"

	"labctl.dev/labctl/pkg/ui"
)

// BuildsAtHome tells whether making the named images (none: all) would need the
// tools of the home way on this machine: some image is neither in the engine nor
// in the cache, and public images can't be pulled. It starts the cache, as List
// does, when it has to look there. It works without an engine too, so that
// doctor can say what a bare machine lacks; images of a configured registry are
// not looked at, since the tools cost little and the pull may fail.
func (s *Store) BuildsAtHome(ctx context.Context, names ...string) (bool, error) {
	if len(names) == 0 {
		names = s.Names()
	}
	if missing, err := s.missing(ctx, names); err == nil && !missing {
		return false, nil
	}
	way, err := s.chooseWay(ctx)
	if err != nil {
		return false, err
	}
	return way == Home, nil
}

// missing tells whether some image would have to be built.
func (s *Store) missing(ctx context.Context, names []string) (bool, error) {
	r := s.newRun(ui.Discard())
	defer r.release()
	var elsewhere []string // not in the engine
	for _, n := range names {
		ok, err := s.engineHasAny(ctx, n)
		if err != nil {
			return true, err
		}
		if !ok {
			elsewhere = append(elsewhere, n)
		}
	}
	if len(elsewhere) == 0 {
		return false, nil
	}
	if err := r.existingCache(ctx); err != nil {
		return true, err
	}
	found, err := r.find(ctx, elsewhere)
	return len(found) < len(elsewhere), err
}

// engineHasAny tells whether the engine has an image, whichever way it was made.
func (s *Store) engineHasAny(ctx context.Context, name string) (bool, error) {
	refs, err := s.candidates(ctx, name)
	for _, ref := range refs {
		if ok, err := s.engineHas(ctx, ref); ok || err != nil {
			return ok, err
		}
	}
	return false, err
}
