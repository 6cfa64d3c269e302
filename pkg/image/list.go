package image

import (
	"context"
	"errors"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/ui"
)

// Entry is one image as `labctl images list` shows it.
type Entry struct {
	Ref
	Description string `json:"description"`
	Build       string `json:"build"`
	// InCache, InEngine and InRegistry say where this version is.
	InCache    bool `json:"inCache"`
	InEngine   bool `json:"inEngine"`
	InRegistry bool `json:"inRegistry"`
	// Ready says whether it is where it is used from.
	Ready bool `json:"ready"`
	// Size is what it takes there, in bytes; images share some of it.
	Size int64 `json:"size"`
}

// List tells for every image which version there is and where. It starts the
// cache when there is one that is stopped, and never builds.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	r := s.newRun(ui.Discard())
	defer r.release()
	if err := r.existingCache(ctx); err != nil {
		return nil, err
	}
	names := s.set.Names()
	out := make([]Entry, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, name := range names {
		g.Go(func() (err error) {
			out[i], err = s.entry(ctx, r.reg, name)
			return err
		})
	}
	return out, g.Wait()
}

// existingCache opens the cache when it can run without making anything.
func (r *run) existingCache(ctx context.Context) error {
	addr, err := r.s.container.Find(ctx)
	if errors.Is(err, docker.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if addr != "" {
		r.reg, err = cache.Open(addr)
		return err
	}
	refs, err := r.find(ctx, []string{RegistryImage})
	if err != nil {
		return err
	}
	if ref, ok := refs[RegistryImage]; ok {
		return r.startCache(ctx, ref)
	}
	return nil
}

// entry looks for the best version of one image: one that is ready, else one
// that the engine or the registry has, else the first that would be looked for.
func (s *Store) entry(ctx context.Context, reg *cache.Registry, name string) (Entry, error) {
	def, err := s.set.Get(name)
	if err != nil {
		return Entry{}, err
	}
	refs, err := s.candidates(ctx, name)
	if err != nil {
		return Entry{}, err
	}
	var best Entry
	for i, ref := range refs {
		e := Entry{Ref: ref, Description: def.Description, Build: string(def.Build)}
		var img struct{ Size int64 }
		switch err := s.docker.Inspect(ctx, "image", ref.Engine(), &img); {
		case err == nil:
			e.InEngine, e.Size = true, img.Size
		case !errors.Is(err, docker.ErrNotFound):
			return Entry{}, err
		}
		if reg != nil && !s.inEngine(name) {
			c, ok, err := reg.Has(ctx, ref.Name, ref.Tag)
			if err != nil && !errors.Is(err, cache.ErrDamaged) {
				return Entry{}, err
			}
			if ok {
				e.InCache, e.Size = true, c.Size
			}
		}
		e.InRegistry = s.inRegistry(ctx, ref)
		e.Ready = e.InCache || e.InEngine && s.inEngine(name)
		if i == 0 || rank(e) > rank(best) {
			best = e
		}
	}
	return best, nil
}

func rank(e Entry) int {
	switch {
	case e.Ready:
		return 3
	case e.InEngine:
		return 2
	case e.InRegistry:
		return 1
	}
	return 0
}

func (s *Store) inRegistry(ctx context.Context, ref Ref) bool {
	if s.registry == "" {
		return false
	}
	r, opts, err := s.outside(s.registry, ref)
	if err != nil {
		return false
	}
	_, err = remote.Head(r, append(opts, remote.WithContext(ctx))...)
	return err == nil
}
