package archive

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// Encoding says how layers are packed.
type Encoding string

// The encodings. Which one the cache uses was measured; see pkg/image/cache.
const (
	Plain Encoding = "plain"
	Zstd  Encoding = "zstd"
	Gzip  Encoding = "gzip"
)

func (e Encoding) mediaType() types.MediaType {
	switch e {
	case Zstd:
		return types.OCILayerZStd
	case Gzip:
		return types.OCILayer
	default:
		return types.OCIUncompressedLayer
	}
}

// writer packs what is written to it. The same input always gives the same
// bytes, so that equal layers have equal digests.
func (e Encoding) writer(w io.Writer) (io.WriteCloser, error) {
	switch e {
	case Plain:
		return nopCloser{w}, nil
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	default:
		return nil, fmt.Errorf("unknown layer encoding %q", e)
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// unpack gives the plain tar of a layer: engines with the containerd image
// store save layers as they were pulled, that is compressed.
func unpack(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(4)
	if err != nil && len(head) == 0 {
		return io.NopCloser(br), nil
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(br)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br)
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	default:
		return io.NopCloser(br), nil
	}
}
