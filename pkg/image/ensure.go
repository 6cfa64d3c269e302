package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/ui"
)

// Ensure makes every named image ready for use and says which version each is:
// in the cache, or in the engine for those that are used from there. What is
// ready already costs a few requests. Rows of StepID tell how far it is.
func (s *Store) Ensure(ctx context.Context, names []string, sink ui.Sink) (map[string]Ref, error) {
	r := s.newRun(sink)
	defer r.release()
	return s.fill(ctx, r, names)
}

// Build makes the named images as Ensure does, but neither they nor what they
// are built on come from the configured registry; with force it makes also those
// that are ready, from what the engine and Go have cached.
func (s *Store) Build(ctx context.Context, names []string, force bool, sink ui.Sink) (map[string]Ref, error) {
	r := s.newRun(sink)
	defer r.release()
	r.noPull = true
	for _, n := range names {
		r.force[n] = force
	}
	return s.fill(ctx, r, names)
}

// fill is Ensure and the like; the caller releases the run.
func (s *Store) fill(ctx context.Context, r *run, names []string) (map[string]Ref, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for _, n := range names {
		if _, err := s.set.Get(n); err != nil {
			return nil, err
		}
	}
	for _, n := range names {
		r.wanted[n] = true
		r.row(n, ui.Waiting, "")
	}
	if slices.ContainsFunc(names, func(n string) bool { return !s.inEngine(n) }) {
		if err := r.openCache(ctx); err != nil {
			return nil, err
		}
	}
	found, err := r.find(ctx, names)
	if err != nil || len(found) == len(names) {
		return found, err
	}
	if err := r.acquire(ctx); err != nil {
		return nil, err
	}
	if err := r.heal(ctx); err != nil {
		return nil, err
	}
	// Another process may have made them while this one waited.
	if found, err = r.find(ctx, names); err != nil {
		return nil, err
	}
	if len(r.damaged) > 0 {
		return nil, clierr.New("remove it with `labctl down --all --purge`", "the image cache can't be repaired")
	}
	return found, r.provideAll(ctx, names, found)
}

// provideAll provides what is not found yet, side by side.
func (r *run) provideAll(ctx context.Context, names []string, found map[string]Ref) error {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		_, ok := found[n]
		return ok
	})
	for _, n := range names {
		g.Go(func() error {
			ref, err := r.provide(gctx, n)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found[n] = ref
			return nil
		})
	}
	err := g.Wait()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Repair reads the named images in the cache from end to end, throws out what
// is damaged and makes it again. It is for when a node could not pull: to read
// everything each time would cost seconds.
func (s *Store) Repair(ctx context.Context, names []string, sink ui.Sink) (map[string]Ref, error) {
	r := s.newRun(sink)
	defer r.release()
	r.deep = true
	return s.fill(ctx, r, names)
}

// EngineImage makes sure that an image that is used from the engine is there and
// gives its name.
func (s *Store) EngineImage(ctx context.Context, name string, sink ui.Sink) (string, error) {
	if !s.inEngine(name) {
		return "", fmt.Errorf("image %s is used from the cache, not from the engine", name)
	}
	refs, err := s.Ensure(ctx, []string{name}, sink)
	if err != nil {
		return "", err
	}
	return refs[name].Engine(), nil
}

// EnsureCache makes the image cache run and gives its address on this machine.
func (s *Store) EnsureCache(ctx context.Context, sink ui.Sink) (string, error) {
	r := s.newRun(sink)
	defer r.release()
	if err := r.openCache(ctx); err != nil {
		return "", err
	}
	return r.reg.Addr(), nil
}

// run is one call of Ensure and the like.
type run struct {
	s      *Store
	sink   ui.Sink
	wanted map[string]bool
	force  map[string]bool // of those, what is made although it is there
	noPull bool            // never ask the configured registry
	reg    *cache.Registry // nil as long as no cache is needed

	mu      sync.Mutex
	tasks   map[string]*task
	damaged []Ref
	deep    bool // read every blob to find damage
	unlock  func()
}

func (s *Store) newRun(sink ui.Sink) *run {
	return &run{s: s, sink: sink, wanted: map[string]bool{}, force: map[string]bool{}, tasks: map[string]*task{}}
}

func (r *run) row(item string, state ui.RowState, text string) {
	r.sink.Emit(ui.Event{Kind: ui.Row, Step: StepID, Item: item, State: state, Text: text})
}

// openCache makes the cache run, which may mean to make its image first.
func (r *run) openCache(ctx context.Context) error {
	refs, err := r.find(ctx, []string{RegistryImage})
	if err != nil {
		return err
	}
	ref, ok := refs[RegistryImage]
	if !ok {
		r.wanted[RegistryImage] = true
		if err := r.acquire(ctx); err != nil {
			return err
		}
		if ref, err = r.provide(ctx, RegistryImage); err != nil {
			return err
		}
	}
	return r.startCache(ctx, ref)
}

// startCache makes the cache run with an image that the engine has. Unless it
// runs already the lock is held for it: two processes must not replace each
// other's container, and a cache that is just being pruned does not answer.
func (r *run) startCache(ctx context.Context, ref Ref) error {
	addr, err := r.s.container.Running(ctx, ref.Engine())
	if err != nil {
		return err
	}
	if addr == "" {
		if err := r.acquire(ctx); err != nil {
			return err
		}
		if addr, err = r.s.container.Ensure(ctx, ref.Engine()); err != nil {
			return err
		}
	}
	r.reg, err = cache.Open(addr)
	return err
}

// acquire takes the lock, once.
func (r *run) acquire(ctx context.Context) error {
	if r.unlock != nil {
		return nil
	}
	unlock, err := r.s.lock(ctx, func() {
		r.sink.Emit(ui.Event{Kind: ui.Note, Step: StepID, Text: "another labctl makes images; waiting for it"})
	})
	if err != nil {
		return err
	}
	r.unlock = unlock
	return r.s.removeSpools()
}

// release gives the lock back, if it is held.
func (r *run) release() {
	if r.unlock != nil {
		r.unlock()
		r.unlock = nil
	}
}

// find looks for each named image where it is used from. Images that are
// damaged count as missing and are remembered for heal.
func (r *run) find(ctx context.Context, names []string) (map[string]Ref, error) {
	found := map[string]Ref{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, n := range names {
		if r.force[n] {
			continue
		}
		g.Go(func() error {
			refs, err := r.s.candidates(ctx, n)
			if err != nil {
				return err
			}
			for _, ref := range refs {
				ok, err := r.has(ctx, ref)
				if err != nil {
					return err
				}
				if ok {
					mu.Lock()
					found[n] = ref
					mu.Unlock()
					r.row(n, ui.Ready, "ready")
					return nil
				}
			}
			return nil
		})
	}
	return found, g.Wait()
}

func (r *run) has(ctx context.Context, ref Ref) (bool, error) {
	if r.s.inEngine(ref.Name) {
		return r.s.engineHas(ctx, ref)
	}
	if r.reg == nil {
		return false, nil
	}
	_, ok, err := r.reg.Has(ctx, ref.Name, ref.Tag)
	if ok && r.deep {
		err = r.reg.Verify(ctx, ref.Name, ref.Tag)
	}
	if errors.Is(err, cache.ErrDamaged) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !slices.Contains(r.damaged, ref) {
			r.damaged = append(r.damaged, ref)
		}
		return false, nil
	}
	return ok, err
}

func (s *Store) engineHas(ctx context.Context, ref Ref) (bool, error) {
	var img struct{ ID string }
	err := s.docker.Inspect(ctx, "image", ref.Engine(), &img)
	if errors.Is(err, docker.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// heal throws damaged images out of the cache, so that they can be written
// again: a registry never replaces a blob that it believes to have. When that
// does not help, the whole volume goes; the engine still has what was built.
func (r *run) heal(ctx context.Context) error {
	if len(r.damaged) == 0 {
		return nil
	}
	r.damaged = nil
	r.sink.Emit(ui.Event{Kind: ui.Warn, Step: StepID, Text: "images in the cache are damaged and are written again"})
	// Its blobs may be shared, so everything that is damaged has to go at once.
	err := r.reg.Sweep(ctx, r.s.container, r.deep)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// Nodes find the cache in networks of theirs.
	networks, netErr := r.s.container.Networks(ctx)
	if rmErr := errors.Join(netErr, r.s.container.Remove(ctx)); rmErr != nil {
		return clierr.Wrap(errors.Join(err, rmErr), "repair the image cache", "remove it with `labctl down --all --purge`")
	}
	if err := r.openCache(ctx); err != nil {
		return err
	}
	return r.s.container.Rejoin(ctx, networks)
}
