// Package archive turns the stream of `docker save` into an image that can be
// written to a registry, with layers packed for fast unpacking. It knows
// nothing about definitions, tags or which registry that is.
package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxJSON bounds manifest.json and image configs; both are a few kilobytes.
const maxJSON = 8 << 20

// manifest is one entry of an archive's manifest.json.
type manifest struct {
	Config string
	Layers []string
}

// Image is a spooled image: its packed layers lie in a directory of its own.
type Image struct {
	v1.Image
	dir string
}

// Close removes the spooled layers.
func (i *Image) Close() error { return os.RemoveAll(i.dir) }

// Read spools the archive from r into a new directory below dir. onBytes, which
// may be nil, is told about every piece of layer data that was read.
func Read(r io.Reader, dir string, enc Encoding, onBytes func(int)) (_ *Image, err error) {
	spool, err := os.MkdirTemp(dir, "spool-")
	if err != nil {
		return nil, fmt.Errorf("spool image: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(spool)
		}
	}()
	a := &reader{dir: spool, enc: enc, onBytes: onBytes, layers: map[string]*layer{}, small: map[string][]byte{}, links: map[string]string{}}
	if err := a.scan(tar.NewReader(r)); err != nil {
		return nil, fmt.Errorf("read image archive: %w", err)
	}
	// The rest of the stream is padding; whoever writes it must not block.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, fmt.Errorf("read image archive: %w", err)
	}
	img, err := a.image()
	if err != nil {
		return nil, fmt.Errorf("read image archive: %w", err)
	}
	return &Image{Image: img, dir: spool}, nil
}

type reader struct {
	dir     string
	enc     Encoding
	onBytes func(int)
	layers  map[string]*layer // by name in the archive
	small   map[string][]byte
	links   map[string]string
}

// scan reads the whole archive once. Engines write it in two layouts: the old
// one has <id>/layer.tar (and links between equal layers), the newer one
// blobs/sha256/<digest> for everything. manifest.json may come last, so every
// file that begins like JSON is kept and everything else is taken for a layer.
func (a *reader) scan(tr *tar.Reader) error {
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeSymlink:
			a.links[name] = path.Join(path.Dir(name), h.Linkname)
			continue
		case tar.TypeLink:
			a.links[name] = path.Clean(h.Linkname)
			continue
		case tar.TypeReg:
		default:
			continue
		}
		head := make([]byte, min(h.Size, 1))
		if _, err := io.ReadFull(tr, head); err != nil {
			return err
		}
		body := io.MultiReader(bytes.NewReader(head), tr)
		if isSmall(name, head, h.Size) {
			raw, err := io.ReadAll(body)
			if err != nil {
				return err
			}
			a.small[name] = raw
			continue
		}
		l, err := a.spool(body)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a.layers[name] = l
	}
}

func isSmall(name string, head []byte, size int64) bool {
	if size > maxJSON {
		return false
	}
	base := path.Base(name)
	return strings.HasSuffix(base, ".json") || base == "json" || base == "VERSION" || base == "repositories" ||
		len(head) == 1 && (head[0] == '{' || head[0] == '[')
}

// spool packs one layer into a file and computes both of its digests on the way.
func (a *reader) spool(r io.Reader) (*layer, error) {
	plain, err := unpack(r)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	f, err := os.CreateTemp(a.dir, "layer-")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packed := &counter{h: sha256.New()}
	w, err := a.enc.writer(io.MultiWriter(f, packed))
	if err != nil {
		return nil, err
	}
	diff := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, diff, tick(a.onBytes)), plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return &layer{
		path: f.Name(), media: a.enc.mediaType(), size: packed.n,
		digest: sum(packed.h), diffID: sum(diff),
	}, nil
}

// image puts the parts together and checks that they belong together.
func (a *reader) image() (v1.Image, error) {
	if _, ok := a.small["manifest.json"]; !ok {
		return nil, errors.New("there is no manifest.json in it")
	}
	var list []manifest
	if err := json.Unmarshal(a.small["manifest.json"], &list); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("manifest.json names %d images, not one", len(list))
	}
	rawConfig, ok := a.small[path.Clean(list[0].Config)]
	if !ok {
		return nil, fmt.Errorf("the image config %s is missing", list[0].Config)
	}
	cfg, err := v1.ParseConfigFile(bytes.NewReader(rawConfig))
	if err != nil {
		return nil, fmt.Errorf("image config: %w", err)
	}
	if len(cfg.RootFS.DiffIDs) != len(list[0].Layers) {
		return nil, fmt.Errorf("the image has %d layers, its config names %d", len(list[0].Layers), len(cfg.RootFS.DiffIDs))
	}
	core := &image{config: rawConfig, layers: make([]*layer, 0, len(list[0].Layers))}
	for i, name := range list[0].Layers {
		name = path.Clean(name)
		if to, ok := a.links[name]; ok {
			name = to
		}
		l, ok := a.layers[name]
		if !ok {
			return nil, fmt.Errorf("the layer %s is missing", name)
		}
		if l.diffID != cfg.RootFS.DiffIDs[i] {
			return nil, fmt.Errorf("the layer %s has digest %s, not %s: the engine's copy is damaged", name, l.diffID, cfg.RootFS.DiffIDs[i])
		}
		core.layers = append(core.layers, l)
	}
	return core.build()
}

// image is the core that partial makes a v1.Image of.
type image struct {
	config   []byte
	manifest []byte
	layers   []*layer
}

var _ partial.CompressedImageCore = (*image)(nil)

func (i *image) build() (v1.Image, error) {
	cfgHash, cfgSize, err := v1.SHA256(bytes.NewReader(i.config))
	if err != nil {
		return nil, err
	}
	m := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: types.OCIConfigJSON, Size: cfgSize, Digest: cfgHash},
		Layers:        []v1.Descriptor{},
	}
	for _, l := range i.layers {
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: l.media, Size: l.size, Digest: l.digest})
	}
	if i.manifest, err = json.Marshal(m); err != nil {
		return nil, err
	}
	return partial.CompressedToImage(i)
}

func (i *image) RawConfigFile() ([]byte, error)      { return i.config, nil }
func (i *image) RawManifest() ([]byte, error)        { return i.manifest, nil }
func (i *image) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (i *image) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range i.layers {
		if l.digest == h {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no layer %s", h)
}

// layer is one packed layer on disk.
type layer struct {
	path   string
	media  types.MediaType
	size   int64
	digest v1.Hash
	diffID v1.Hash
}

func (l *layer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l *layer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *layer) Size() (int64, error)                { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.media, nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return os.Open(filepath.Clean(l.path)) }

// counter hashes and counts what goes through it.
type counter struct {
	h hash.Hash
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.h.Write(p)
}

// tick is a writer that only reports how much it was given.
type tick func(int)

func (t tick) Write(p []byte) (int, error) {
	if t != nil {
		t(len(p))
	}
	return len(p), nil
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", h.Sum(nil))}
}
