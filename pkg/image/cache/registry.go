package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// ErrDamaged is returned for an image whose blobs are not what they should be.
var ErrDamaged = errors.New("damaged in the image cache")

// Registry is a client for the images in a cache that runs. It is safe for
// concurrent use.
type Registry struct {
	reg  name.Registry
	opts []remote.Option
}

// Open makes the client for a registry at addr (host:port), without TLS.
func Open(addr string) (*Registry, error) {
	reg, err := name.NewRegistry(addr, name.Insecure)
	if err != nil {
		return nil, fmt.Errorf("image cache address: %w", err)
	}
	// It is near: what does not work at once will hardly work in seconds.
	retry := remote.Backoff{Duration: 100 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 3}
	opts := []remote.Option{remote.WithTransport(directTransport()), remote.WithJobs(2), remote.WithRetryBackoff(retry)}
	// One puller keeps the connection and the registry's first answer.
	puller, err := remote.NewPuller(opts...)
	if err != nil {
		return nil, fmt.Errorf("image cache client: %w", err)
	}
	return &Registry{reg: reg, opts: append(opts, remote.Reuse(puller))}, nil
}

// Addr gives host:port.
func (r *Registry) Addr() string { return r.reg.RegistryStr() }

func (r *Registry) tag(image, tag string) name.Tag { return r.reg.Repo(image).Tag(tag) }

func (r *Registry) with(ctx context.Context) []remote.Option {
	return append(slices.Clone(r.opts), remote.WithContext(ctx))
}

// Entry is one image in the cache.
type Entry struct {
	Name string
	Tag  string
	Size int64 // bytes of its blobs; images share some
}

// Has says whether an image is there and complete: its manifest can be read and
// every blob exists with its right size. A blob that is not makes it ErrDamaged;
// Verify finds wrong content too.
func (r *Registry) Has(ctx context.Context, image, tag string) (Entry, bool, error) {
	e := Entry{Name: image, Tag: tag}
	img, err := remote.Image(r.tag(image, tag), r.with(ctx)...)
	switch {
	case missing(err):
		return e, false, nil
	case broken(err):
		return e, false, fmt.Errorf("%s:%s: %w: %w", image, tag, ErrDamaged, err)
	case err != nil:
		return e, false, fmt.Errorf("ask the image cache for %s:%s: %w", image, tag, err)
	}
	blobs, err := blobs(img)
	if err != nil {
		return e, false, fmt.Errorf("%s:%s: %w: %w", image, tag, ErrDamaged, err)
	}
	for _, b := range blobs {
		e.Size += b.Size
		if err := r.blobIs(ctx, image, b); err != nil {
			return e, false, fmt.Errorf("%s:%s: %w", image, tag, err)
		}
	}
	return e, true, nil
}

// blobIs checks that a blob exists with the size it must have.
func (r *Registry) blobIs(ctx context.Context, image string, b v1.Descriptor) error {
	l, err := remote.Layer(r.reg.Repo(image).Digest(b.Digest.String()), r.with(ctx)...)
	if err != nil {
		return err
	}
	size, err := l.Size() // a HEAD request
	if missing(err) {
		return fmt.Errorf("%w: blob %s is missing", ErrDamaged, b.Digest)
	}
	if err != nil {
		return err
	}
	if size != b.Size {
		return fmt.Errorf("%w: blob %s has %d bytes, not %d", ErrDamaged, b.Digest, size, b.Size)
	}
	return nil
}

// Verify reads every blob of an image and checks its digest.
func (r *Registry) Verify(ctx context.Context, image, tag string) error {
	img, err := remote.Image(r.tag(image, tag), r.with(ctx)...)
	if err != nil {
		return fmt.Errorf("ask the image cache for %s:%s: %w", image, tag, err)
	}
	blobs, err := blobs(img)
	if err != nil {
		return fmt.Errorf("%s:%s: %w: %w", image, tag, ErrDamaged, err)
	}
	for _, b := range blobs {
		if err := r.readBlob(ctx, image, b.Digest); err != nil {
			return fmt.Errorf("%s:%s: %w: blob %s: %w", image, tag, ErrDamaged, b.Digest, err)
		}
	}
	return nil
}

func (r *Registry) readBlob(ctx context.Context, image string, digest v1.Hash) (err error) {
	l, err := remote.Layer(r.reg.Repo(image).Digest(digest.String()), r.with(ctx)...)
	if err != nil {
		return err
	}
	rc, err := l.Compressed() // its reader checks size and digest
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rc.Close()) }()
	_, err = io.Copy(io.Discard, rc)
	return err
}

// List gives everything in the cache, sorted.
func (r *Registry) List(ctx context.Context) ([]Entry, error) {
	repos, err := remote.Catalog(ctx, r.reg, r.opts...)
	if err != nil {
		return nil, fmt.Errorf("list the image cache: %w", err)
	}
	slices.Sort(repos)
	var all []Entry
	for _, repo := range repos {
		tags, err := remote.List(r.reg.Repo(repo), r.with(ctx)...)
		if missing(err) {
			continue // a repository that has lost its last tag
		}
		if err != nil {
			return nil, fmt.Errorf("list %s in the image cache: %w", repo, err)
		}
		slices.Sort(tags)
		for _, t := range tags {
			e := Entry{Name: repo, Tag: t}
			for _, b := range r.blobsOf(ctx, e) {
				e.Size += b.Size
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// Delete removes a tag. The image's blobs stay until they are collected.
func (r *Registry) Delete(ctx context.Context, image, tag string) error {
	err := remote.Delete(r.tag(image, tag), r.with(ctx)...)
	if err != nil && !missing(err) {
		return fmt.Errorf("delete %s:%s from the image cache: %w", image, tag, err)
	}
	return nil
}

// Image gives an image of the cache, to be copied elsewhere.
func (r *Registry) Image(ctx context.Context, image, tag string) (v1.Image, error) {
	img, err := remote.Image(r.tag(image, tag), r.with(ctx)...)
	if err != nil {
		return nil, fmt.Errorf("read %s:%s from the image cache: %w", image, tag, err)
	}
	return img, nil
}

// Push writes an image. Blobs that another image of the cache has already are
// linked, not sent.
func (r *Registry) Push(ctx context.Context, img v1.Image, image, tag string, onBytes func(done, total int64)) error {
	owners, err := r.blobOwners(ctx)
	if err != nil {
		return err
	}
	mountable := &mountImage{Image: img, owners: owners}
	if err := Write(ctx, r.tag(image, tag), mountable, onBytes, r.opts...); err != nil {
		return fmt.Errorf("write %s:%s to the image cache: %w", image, tag, err)
	}
	return nil
}

// blobOwners tells for each blob a repository that has it.
func (r *Registry) blobOwners(ctx context.Context) (map[v1.Hash]name.Reference, error) {
	entries, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	owners := map[v1.Hash]name.Reference{}
	for _, e := range entries {
		for _, b := range r.blobsOf(ctx, e) {
			owners[b.Digest] = r.tag(e.Name, e.Tag)
		}
	}
	return owners, nil
}

// Write writes an image to any registry and reports bytes as they go.
func Write(ctx context.Context, ref name.Reference, img v1.Image, onBytes func(done, total int64), opts ...remote.Option) error {
	updates := make(chan v1.Update, 64)
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		for {
			select {
			case u, ok := <-updates: // closed by the writer, but not when it fails early
				if !ok {
					return
				}
				if onBytes != nil && u.Error == nil {
					onBytes(u.Complete, u.Total)
				}
			case <-done:
				return
			}
		}
	}()
	err := remote.Write(ref, img, append(slices.Clone(opts), remote.WithContext(ctx), remote.WithProgress(updates))...)
	close(done)
	<-finished
	return err
}

// blobsOf gives config and layers of an image; none when it can't be read.
func (r *Registry) blobsOf(ctx context.Context, e Entry) []v1.Descriptor {
	img, err := remote.Image(r.tag(e.Name, e.Tag), r.with(ctx)...)
	if err != nil {
		return nil
	}
	bs, err := blobs(img)
	if err != nil {
		return nil
	}
	return bs
}

// blobs gives config and layers of an image.
func blobs(img v1.Image) ([]v1.Descriptor, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	return append([]v1.Descriptor{m.Config}, m.Layers...), nil
}

// missing says whether a registry answered that it has no such thing.
func missing(err error) bool {
	var te *transport.Error
	return errors.As(err, &te) && te.StatusCode == http.StatusNotFound
}

// broken says whether a registry failed by itself: it can't read what it stored.
func broken(err error) bool {
	var te *transport.Error
	return errors.As(err, &te) && te.StatusCode >= http.StatusInternalServerError
}

// mountImage lets the writer link layers from other repositories.
type mountImage struct {
	v1.Image
	owners map[v1.Hash]name.Reference
}

func (m *mountImage) Layers() ([]v1.Layer, error) {
	ls, err := m.Image.Layers()
	if err != nil {
		return nil, err
	}
	out := make([]v1.Layer, len(ls))
	for i, l := range ls {
		out[i] = l
		if d, err := l.Digest(); err == nil {
			if ref, ok := m.owners[d]; ok {
				out[i] = &remote.MountableLayer{Layer: l, Reference: ref}
			}
		}
	}
	return out, nil
}
