package cache

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Retain removes every image that keep does not want and the blobs that only
// they needed. Blobs of pushes that were cut off go too. It says how many bytes
// of blobs went.
func (r *Registry) Retain(ctx context.Context, c *Container, keep func(Entry) bool) (freed int64, removed []Entry, err error) {
	all, err := r.List(ctx)
	if err != nil {
		return 0, nil, err
	}
	before, after := map[v1.Hash]int64{}, map[v1.Hash]int64{}
	for _, e := range all {
		into := []map[v1.Hash]int64{before}
		if keep(e) {
			into = append(into, after)
		} else {
			removed = append(removed, e)
		}
		for _, b := range r.blobsOf(ctx, e) {
			for _, m := range into {
				m[b.Digest] = b.Size
			}
		}
	}
	for _, e := range removed {
		if err := r.Delete(ctx, e.Name, e.Tag); err != nil {
			return 0, nil, err
		}
	}
	if err := c.collect(ctx); err != nil {
		return 0, removed, err
	}
	for digest, size := range before {
		if _, kept := after[digest]; !kept {
			freed += size
		}
	}
	return freed, removed, nil
}

// Sweep removes every damaged image and the blobs that nothing else needs, with
// deep also those whose blobs have wrong content. It fails when something
// damaged is still there afterwards.
func (r *Registry) Sweep(ctx context.Context, c *Container, deep bool) error {
	damaged, err := r.damaged(ctx, deep)
	if err != nil {
		return err
	}
	for _, e := range damaged {
		if err := r.Delete(ctx, e.Name, e.Tag); err != nil {
			return err
		}
	}
	if err := c.collect(ctx); err != nil {
		return err
	}
	damaged, err = r.damaged(ctx, deep)
	if err == nil && len(damaged) > 0 {
		err = fmt.Errorf("%s:%s: %w", damaged[0].Name, damaged[0].Tag, ErrDamaged)
	}
	return err
}

func (r *Registry) damaged(ctx context.Context, deep bool) ([]Entry, error) {
	all, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	var bad []Entry
	for _, e := range all {
		_, ok, err := r.Has(ctx, e.Name, e.Tag)
		if ok && deep {
			err = r.Verify(ctx, e.Name, e.Tag)
		}
		if errors.Is(err, ErrDamaged) {
			bad = append(bad, e)
		} else if err != nil {
			return nil, err
		}
	}
	return bad, nil
}
