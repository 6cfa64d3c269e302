package image

import (
	"context"
)

// BuildsAtHome tells whether making the named images (none: all) would need the
// tools of the home way on this machine: some image is not ready, and public
// images can't be pulled. It works without an engine too, so that doctor can say
// what a bare machine lacks; images of a configured registry are not looked at,
// since the tools cost little and the pull may fail.
func (s *Store) BuildsAtHome(ctx context.Context, names ...string) (bool, error) {
	if len(names) == 0 {
		names = s.Names()
	}
	if _, ready, err := s.Refs(ctx, names); err == nil && len(ready) == len(names) {
		return false, nil
	}
	way, err := s.chooseWay(ctx)
	if err != nil {
		return false, err
	}
	return way == Home, nil
}
