package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"labctl.dev/labctl/pkg/image/archive"
	"labctl.dev/labctl/pkg/image/build"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/ui"
)

// task is one image that is being brought into the engine; all who need it
// share one.
type task struct {
	once sync.Once
	ref  Ref
	how  string // what was done, for people
	err  error
}

// provide brings an image to where it is used from.
func (r *run) provide(ctx context.Context, name string) (Ref, error) {
	start := time.Now()
	ref, how, err := r.obtain(ctx, name)
	if err != nil {
		if ctx.Err() == nil {
			r.row(name, ui.Failed, firstLine(err))
		}
		return Ref{}, err
	}
	r.row(name, ui.Ready, fmt.Sprintf("%s in %s", how, time.Since(start).Round(time.Second)))
	return ref, nil
}

// obtain is provide without what a person sees of it.
func (r *run) obtain(ctx context.Context, name string) (ref Ref, how string, err error) {
	if r.s.inEngine(name) {
		return r.engine(ctx, name)
	}
	if !r.force[name] {
		refs, err := r.s.candidates(ctx, name)
		if err != nil {
			return Ref{}, "", err
		}
		for _, ref := range refs {
			ok, err := r.s.engineHas(ctx, ref)
			if err != nil {
				return Ref{}, "", err
			}
			if ok {
				return ref, "stored", r.store(ctx, ref)
			}
		}
		if !r.noPull {
			if ref, ok := r.copyFromRegistry(ctx, refs); ok {
				return ref, "pulled", nil
			}
		}
	}
	if ref, how, err = r.engine(ctx, name); err != nil {
		return Ref{}, "", err
	}
	return ref, how, r.store(ctx, ref)
}

// engine brings an image into the engine: there, pulled, or built on its bases.
func (r *run) engine(ctx context.Context, name string) (Ref, string, error) {
	r.mu.Lock()
	t, ok := r.tasks[name]
	if !ok {
		t = &task{}
		r.tasks[name] = t
	}
	r.mu.Unlock()
	t.once.Do(func() {
		t.ref, t.how, t.err = r.intoEngine(ctx, name)
		if !r.wanted[name] && t.err == nil {
			r.row(name, ui.Ready, t.how)
		}
	})
	return t.ref, t.how, t.err
}

func (r *run) intoEngine(ctx context.Context, name string) (ref Ref, how string, err error) {
	refs, err := r.s.candidates(ctx, name)
	if err != nil {
		return Ref{}, "", err
	}
	if !r.noPull {
		if ref, ok := r.pullIntoEngine(ctx, refs); ok {
			return ref, "pulled", nil
		}
	}
	way, err := r.s.chooseWay(ctx)
	if err != nil {
		return Ref{}, "", err
	}
	platform, err := r.s.targetPlatform(ctx)
	if err != nil {
		return Ref{}, "", err
	}
	tag, err := r.s.set.Tag(name, way, platform)
	if err != nil {
		return Ref{}, "", err
	}
	ref = Ref{Name: name, Tag: tag, Way: way}
	if ok, err := r.s.engineHas(ctx, ref); err != nil || ok && !r.force[name] {
		return ref, "there", err
	}
	def, err := r.s.set.Get(name)
	if err != nil {
		return Ref{}, "", err
	}
	bases, err := r.bases(ctx, def)
	if err != nil {
		return Ref{}, "", err
	}
	return ref, "built", r.build(ctx, def, ref, platform, bases)
}

// bases makes the images that def is built on, side by side.
func (r *run) bases(ctx context.Context, def spec.Definition) (map[string]string, error) {
	refs := map[string]string{}
	for _, base := range r.s.set.Bases(def.Name) {
		r.row(def.Name, ui.Waiting, "waits for "+base)
		ref, _, err := r.engine(ctx, base)
		if err != nil {
			return nil, err
		}
		for arg, n := range def.Bases {
			if n == base {
				refs[arg] = ref.Engine()
			}
		}
	}
	return refs, nil
}

// build runs one build when there is a place for it.
func (r *run) build(ctx context.Context, def spec.Definition, ref Ref, platform string, bases map[string]string) error {
	if !r.s.builds.TryAcquire(1) {
		r.row(def.Name, ui.Waiting, "waits for another build")
		if err := r.s.builds.Acquire(ctx, 1); err != nil {
			return context.Cause(ctx)
		}
	}
	defer r.s.builds.Release(1)
	files, err := r.s.set.Files(def.Name)
	if err != nil {
		return err
	}
	progress := func(p build.Progress) {
		r.sink.Emit(ui.Event{Kind: ui.Row, Step: StepID, Item: def.Name, State: ui.Working, Text: p.Text, Done: p.Done, Total: p.Total})
	}
	progress(build.Progress{Text: "build"})
	if def.Build == spec.Node && ref.Way == Home {
		if r.s.node == nil {
			return errors.New("this program can't build the node image at home")
		}
		return r.s.node.BuildNode(ctx, NodeRequest{
			Ref: ref.Engine(), Platform: platform, Files: files, Log: r.s.builder.LogPath(def.Name),
			WorkDir: filepath.Join(r.s.workDir, "node"), Environ: r.s.environ, Progress: progress,
		})
	}
	return r.s.builder.Build(ctx, build.Job{
		Definition: def, Files: files, Way: ref.Way, Platform: platform, Ref: ref.Engine(), Bases: bases, Fresh: r.force[def.Name], Progress: progress,
	})
}

// store writes an image of the engine into the cache.
func (r *run) store(ctx context.Context, ref Ref) error {
	img, err := r.s.spool(ctx, ref.Engine(), cacheEncoding, r.bytesRow(ref.Name, "pack"))
	if err != nil {
		return err
	}
	defer img.Close()
	if err := r.reg.Push(ctx, img, ref.Name, ref.Tag, r.bytesRow(ref.Name, "store")); err != nil {
		return r.s.explainStore(ctx, err)
	}
	return nil
}

// bytesRow makes a function that shows bytes, at most every tenth of a second.
func (r *run) bytesRow(item, text string) func(done, total int64) {
	var mu sync.Mutex
	var last time.Time
	return func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) < 100*time.Millisecond {
			return
		}
		last = time.Now()
		r.sink.Emit(ui.Event{Kind: ui.Row, Step: StepID, Item: item, State: ui.Working, Text: text, Done: done, Total: total, Unit: ui.Bytes})
	}
}

// spool reads an image out of the engine.
func (s *Store) spool(ctx context.Context, ref string, enc archive.Encoding, onBytes func(done, total int64)) (*archive.Image, error) {
	var info struct{ Size int64 }
	if err := s.docker.Inspect(ctx, "image", ref, &info); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pr, pw := io.Pipe()
	saved := make(chan error, 1)
	go func() {
		err := s.docker.Stream(ctx, nil, pw, nil, nil, "save", ref)
		_ = pw.CloseWithError(err) // a nil error is the end of the stream
		saved <- err
	}()
	var done int64
	img, err := archive.Read(pr, s.workDir, enc, func(n int) {
		done += int64(n)
		onBytes(done, max(done, info.Size))
	})
	if err != nil {
		cancel(err)
		_ = pr.CloseWithError(err)
	}
	if saveErr := <-saved; saveErr != nil && err == nil {
		err = errors.Join(saveErr, img.Close())
	}
	if err != nil {
		return nil, diskFull(fmt.Errorf("read image %s from the engine: %w", ref, err))
	}
	return img, nil
}
