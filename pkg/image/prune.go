package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image/build"
	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/ui"
)

// PruneOptions says how much goes.
type PruneOptions struct {
	// All removes current images too, not only those of older definitions.
	All bool
}

// PruneReport says what went.
type PruneReport struct {
	// Removed names images as cache/<name>:<tag> or engine/<name>:<tag>.
	Removed []string `json:"removed"`
	// CacheFreed is the size of the blobs that left the cache.
	CacheFreed int64 `json:"cacheFreedBytes"`
	// EngineFreed is the size of the images that left the engine; layers that
	// others share stay, so the disk may gain less.
	EngineFreed int64 `json:"engineFreedBytes"`
}

// ErrInUse says that Remove left only images that containers or images of others
// need.
var ErrInUse = errors.New("images are still in use")

// Prune removes images that no current definition stands for and what cut-off
// builds left. Images that a container uses stay.
func (s *Store) Prune(ctx context.Context, o PruneOptions) (PruneReport, error) {
	var rep PruneReport
	r := s.newRun(ui.Discard())
	defer r.release()
	if err := r.acquire(ctx); err != nil {
		return rep, err
	}
	keep, err := s.current(ctx)
	if err != nil {
		return rep, err
	}
	if o.All {
		// The cache runs on this one; taking its name away would only hide it.
		keep = slices.DeleteFunc(keep, func(r Ref) bool { return r.Name != RegistryImage })
	}
	if err := r.pruneCache(ctx, keep, &rep); err != nil {
		return rep, err
	}
	if _, err := s.pruneEngine(ctx, keep, &rep); err != nil {
		return rep, err
	}
	return rep, s.pruneWork()
}

// current gives every version that the definitions stand for, both ways.
func (s *Store) current(ctx context.Context) ([]Ref, error) {
	platform, err := s.targetPlatform(ctx)
	if err != nil {
		return nil, err
	}
	var refs []Ref
	for _, name := range s.set.Names() {
		for _, way := range []Way{Home, Public} {
			tag, err := s.set.Tag(name, way, platform)
			if err != nil {
				return nil, err
			}
			refs = append(refs, Ref{Name: name, Tag: tag, Way: way})
		}
	}
	return refs, nil
}

func (r *run) pruneCache(ctx context.Context, keep []Ref, rep *PruneReport) error {
	if err := r.existingCache(ctx); err != nil || r.reg == nil {
		return err
	}
	freed, removed, err := r.reg.Retain(ctx, r.s.container, func(e cache.Entry) bool {
		return slices.ContainsFunc(keep, func(r Ref) bool { return r.Name == e.Name && r.Tag == e.Tag })
	})
	rep.CacheFreed = freed
	for _, e := range removed {
		rep.Removed = append(rep.Removed, "cache/"+e.Name+":"+e.Tag)
	}
	return err
}

// pruneEngine removes all our images from the engine but those to keep and those
// in use, which it gives back.
func (s *Store) pruneEngine(ctx context.Context, keep []Ref, rep *PruneReport) (inUse []string, err error) {
	if err := s.removeBuildContainers(ctx); err != nil {
		return nil, err
	}
	lines, err := s.docker.Lines(ctx, "image", "ls", "--filter", "reference="+engineRepo+"*", "--format", "{{.Repository}}:{{.Tag}}")
	if err != nil {
		return nil, err
	}
	for _, ref := range lines {
		if slices.ContainsFunc(keep, func(r Ref) bool { return r.Engine() == ref }) || strings.HasSuffix(ref, ":<none>") {
			continue
		}
		switch size, err := s.removeImage(ctx, ref); {
		case err == nil:
			rep.EngineFreed += size
			rep.Removed = append(rep.Removed, "engine/"+strings.TrimPrefix(ref, engineRepo))
		case errors.Is(err, ErrInUse):
			inUse = append(inUse, ref)
		case !errors.Is(err, docker.ErrNotFound):
			return nil, err
		}
	}
	// Layers of ours that lost their name when a build made them anew.
	_, err = s.docker.Run(ctx, "image", "prune", "--force", "--filter", "label="+docker.OwnerLabel+"="+docker.OwnerValue)
	return inUse, err
}

// removeBuildContainers removes what an interrupted build left; the container of
// a node has a volume without a name too.
func (s *Store) removeBuildContainers(ctx context.Context) error {
	ids, err := s.docker.Lines(ctx, "ps", "--all", "--quiet", "--filter", "label="+build.ContainerLabel)
	if err != nil {
		return err
	}
	for _, id := range append(ids, build.UnlabeledContainer) {
		if _, err := s.docker.Run(ctx, "rm", "--force", "--volumes", id); err != nil && !errors.Is(err, docker.ErrNotFound) {
			return err
		}
	}
	return nil
}

// removeImage removes an image and tells its size.
func (s *Store) removeImage(ctx context.Context, ref string) (int64, error) {
	var info struct{ Size int64 }
	if err := s.docker.Inspect(ctx, "image", ref, &info); err != nil {
		return 0, err
	}
	_, err := s.docker.Run(ctx, "rmi", ref)
	if err == nil {
		return info.Size, nil
	}
	for _, refusal := range []string{"is using its referenced image", "image is being used", "has dependent child images"} {
		if strings.Contains(err.Error(), refusal) {
			return 0, fmt.Errorf("%w: %w", ErrInUse, err)
		}
	}
	return 0, err
}

// pruneWork empties the work directory, but for the lock that is held.
func (s *Store) pruneWork() error {
	entries, err := os.ReadDir(s.workDir)
	if err != nil {
		return fmt.Errorf("prune build directories: %w", err)
	}
	for _, e := range entries {
		if e.Name() == lockFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.workDir, e.Name())); err != nil {
			return fmt.Errorf("prune build directories: %w", err)
		}
	}
	return nil
}

// removeSpools removes layers that a killed process was about to store. The
// lock is held, so nobody else is.
func (s *Store) removeSpools() error {
	left, err := filepath.Glob(filepath.Join(s.workDir, "spool-*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove what a killed labctl left: %w", err)
		}
	}
	return nil
}

// Remove removes the cache with everything in it, all our images from the engine
// with what their builds left there, and the work directory. The engine's own
// build cache is everybody's and stays. An image that is in use, by a cluster of
// another labctl say, stays too: when all else is gone the error is ErrInUse and
// names those images and their containers.
func (s *Store) Remove(ctx context.Context) error {
	r := s.newRun(ui.Discard())
	defer r.release()
	if err := r.acquire(ctx); err != nil {
		return err
	}
	if err := s.container.Remove(ctx); err != nil {
		return err
	}
	inUse, err := s.pruneEngine(ctx, nil, &PruneReport{})
	if err != nil {
		return err
	}
	if err := s.pruneWork(); err != nil {
		return err
	}
	// With the lock held, see lock. Where a file that is open can't be removed an
	// empty one stays.
	_ = errors.Join(os.Remove(filepath.Join(s.workDir, lockFile)), os.Remove(s.workDir))
	if len(inUse) == 0 {
		return nil
	}
	for i, ref := range inUse {
		users, err := s.docker.Lines(ctx, "ps", "--all", "--filter", "ancestor="+ref, "--format", "{{.Names}}")
		if err != nil {
			return err
		}
		if len(users) > 0 {
			inUse[i] += " (" + strings.Join(users, ", ") + ")"
		}
	}
	return clierr.New("remove the containers that use them, then run the command again", "%w: %s", ErrInUse, strings.Join(inUse, ", "))
}
