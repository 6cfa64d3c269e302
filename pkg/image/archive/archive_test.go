package archive_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"labctl.dev/labctl/pkg/image/archive"
)

func TestRead(t *testing.T) {
	t.Parallel()
	src, err := random.Image(4096, 3)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("labctl.local/x:1")
	if err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := tarball.Write(tag, src, &saved); err != nil { // layers are compressed in it
		t.Fatal(err)
	}
	want, err := src.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	media := map[archive.Encoding]types.MediaType{
		archive.Plain: types.OCIUncompressedLayer, archive.Gzip: types.OCILayer, archive.Zstd: types.OCILayerZStd,
	}
	for enc, mt := range media {
		t.Run(string(enc), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var seen int
			img, err := archive.Read(bytes.NewReader(saved.Bytes()), dir, enc, func(n int) { seen += n })
			if err != nil {
				t.Fatal(err)
			}
			if got, err := img.ConfigName(); err != nil || got != want {
				t.Errorf("config %v, %v; want %v", got, err, want)
			}
			layers, err := img.Layers()
			if err != nil || len(layers) != 3 {
				t.Fatalf("%d layers, %v", len(layers), err)
			}
			if seen < 3*4096 {
				t.Errorf("only %d bytes were reported", seen)
			}
			for _, l := range layers {
				if got, err := l.MediaType(); err != nil || got != mt {
					t.Errorf("layer is %v, %v", got, err)
				}
				rc, err := l.Compressed()
				if err != nil {
					t.Fatal(err)
				}
				raw, err := io.ReadAll(rc)
				if err != nil {
					t.Fatal(err)
				}
				digest, err := l.Digest()
				if err != nil || digest.Hex != fmt.Sprintf("%x", sha256.Sum256(raw)) {
					t.Errorf("digest %v, %v does not fit the bytes", digest, err)
				}
			}
			if err := img.Close(); err != nil {
				t.Error(err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("Close left %v", left)
			}
		})
	}
}

// saveOld writes an archive as old engines do: one directory per layer, links
// between equal layers.
func saveOld(t *testing.T, config string, files map[string]string, links map[string]string, layers ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h *tar.Header, body string) {
		h.Size = int64(len(body))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	for n, c := range files {
		add(&tar.Header{Name: n, Typeflag: tar.TypeReg, Mode: 0o644}, c)
	}
	for n, to := range links {
		add(&tar.Header{Name: n, Typeflag: tar.TypeSymlink, Linkname: to}, "")
	}
	add(&tar.Header{Name: "c.json", Typeflag: tar.TypeReg}, config)
	m, err := json.Marshal([]map[string]any{{"Config": "c.json", "Layers": layers}})
	if err != nil {
		t.Fatal(err)
	}
	add(&tar.Header{Name: "manifest.json", Typeflag: tar.TypeReg}, string(m))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func config(layers ...string) string {
	ids := make([]string, 0, len(layers))
	for _, l := range layers {
		ids = append(ids, fmt.Sprintf(`"sha256:%x"`, sha256.Sum256([]byte(l))))
	}
	return `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[` + strings.Join(ids, ",") + `]}}`
}

func TestReadOldLayout(t *testing.T) {
	t.Parallel()
	raw := saveOld(t, config("one", "two", "one"),
		map[string]string{"a/layer.tar": "one", "b/layer.tar": "two", "a/json": "{}", "a/VERSION": "1.0"},
		map[string]string{"c/layer.tar": "../a/layer.tar"},
		"a/layer.tar", "b/layer.tar", "c/layer.tar")
	img, err := archive.Read(bytes.NewReader(raw), t.TempDir(), archive.Zstd, nil)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range layers {
		rc, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		z, err := zstd.NewReader(rc)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(plain))
	}
	if diff := cmp.Diff([]string{"one", "two", "one"}, got); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	good := saveOld(t, config("one"), map[string]string{"a/layer.tar": "one"}, nil, "a/layer.tar")
	tests := map[string]struct {
		raw  []byte
		want string
	}{
		"garbage":       {[]byte(strings.Repeat("no tar ", 200)), "invalid tar header"},
		"empty":         {nil, "no manifest.json"},
		"cut off":       {good[:514], "unexpected EOF"},
		"damaged layer": {saveOld(t, config("one"), map[string]string{"a/layer.tar": "onx"}, nil, "a/layer.tar"), "the engine's copy is damaged"},
		"no layer":      {saveOld(t, config("one"), nil, nil, "a/layer.tar"), "the layer a/layer.tar is missing"},
		"too many":      {saveOld(t, config("one", "two"), map[string]string{"a/layer.tar": "one"}, nil, "a/layer.tar"), "its config names 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := archive.Read(bytes.NewReader(tt.raw), dir, archive.Zstd, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}
