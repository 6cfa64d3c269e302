package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	if err := s.pruneEngine(ctx, keep, &rep); err != nil {
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

func (s *Store) pruneEngine(ctx context.Context, keep []Ref, rep *PruneReport) error {
	if err := s.removeBuildContainers(ctx); err != nil {
		return err
	}
	lines, err := s.docker.Lines(ctx, "image", "ls", "--filter", "reference="+engineRepo+"*", "--format", "{{.Repository}}:{{.Tag}}")
	if err != nil {
		return err
	}
	for _, ref := range lines {
		if slices.ContainsFunc(keep, func(r Ref) bool { return r.Engine() == ref }) || strings.HasSuffix(ref, ":<none>") {
			continue
		}
		size, err := s.removeImage(ctx, ref)
		if err != nil {
			return err
		}
		if size >= 0 {
			rep.EngineFreed += size
			rep.Removed = append(rep.Removed, "engine/"+strings.TrimPrefix(ref, engineRepo))
		}
	}
	// Layers of ours that lost their name when a build made them anew.
	_, err = s.docker.Run(ctx, "image", "prune", "--force", "--filter", "label="+docker.OwnerLabel+"="+docker.OwnerValue)
	return err
}

// removeBuildContainers removes what an interrupted build left; the container of
// a node has a volume without a name too.
func (s *Store) removeBuildContainers(ctx context.Context) error {
	ids, err := s.docker.Lines(ctx, "ps", "--all", "--quiet", "--filter", "label="+build.ContainerLabel)
	if err != nil || len(ids) == 0 {
		return err
	}
	_, err = s.docker.Run(ctx, append([]string{"rm", "--force", "--volumes"}, ids...)...)
	return err
}

// removeImage removes an image; -1 when a container uses it.
func (s *Store) removeImage(ctx context.Context, ref string) (int64, error) {
	var info struct{ Size int64 }
	if err := s.docker.Inspect(ctx, "image", ref, &info); err != nil {
		if errors.Is(err, docker.ErrNotFound) {
			return -1, nil
		}
		return -1, err
	}
	switch _, err := s.docker.Run(ctx, "rmi", ref); {
	case err == nil:
		return info.Size, nil
	case errors.Is(err, docker.ErrNotFound), strings.Contains(err.Error(), "is using its referenced image"),
		strings.Contains(err.Error(), "image is being used"), strings.Contains(err.Error(), "has dependent child images"):
		return -1, nil
	default:
		return -1, err
	}
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

// Remove removes the cache with everything in it and all our images from the
// engine. The engine itself is not touched.
func (s *Store) Remove(ctx context.Context) error {
	unlock, err := s.lock(ctx, nil)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.container.Remove(ctx); err != nil {
		return err
	}
	var rep PruneReport
	if err := s.pruneEngine(ctx, nil, &rep); err != nil {
		return err
	}
	return s.pruneWork()
}
