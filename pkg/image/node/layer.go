package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// layer is a layer of an image as a tar file of this machine.
type layer struct {
	file string
	hash v1.Hash
}

// packedImage is an image as it goes into the archive.
type packedImage struct {
	names  []string
	layers []layer
	config v1.ConfigFile
}

// pack makes the layers of all images below dir. A program with the same links
// is the same layer, which is written once and shared by all images.
func (j *job) pack(ctx context.Context, dir string) ([]packedImage, error) {
	made := map[string]layer{}
	var out []packedImage
	for _, i := range j.recipe.Images {
		img := packedImage{names: i.Names, config: v1.ConfigFile{Architecture: j.arch, OS: "linux"}}
		img.config.Config.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		add := func(key string, write func(w io.Writer) error) error {
			l, ok := made[key]
			if !ok {
				var err error
				if l, err = writeLayer(filepath.Join(dir, strconv.Itoa(len(made))+".tar"), write); err != nil {
					return fmt.Errorf("pack %s: %w", i.Names[0], err)
				}
				made[key] = l
			}
			img.layers = append(img.layers, l)
			img.config.RootFS.DiffIDs = append(img.config.RootFS.DiffIDs, l.hash)
			return nil
		}
		if i.Program != "" {
			img.config.Config.Entrypoint = []string{"/usr/local/bin/" + i.Program}
			if err := add(fmt.Sprintf("program %s %q", i.Program, i.Links), func(w io.Writer) error { return j.programLayer(w, i) }); err != nil {
				return nil, err
			}
		}
		if i.Rootfs != "" {
			if err := add("rootfs "+i.Rootfs, func(w io.Writer) error { return j.rootfsLayer(ctx, w, i.Rootfs) }); err != nil {
				return nil, err
			}
		}
		img.config.RootFS.Type = "layers"
		out = append(out, img)
	}
	return out, nil
}

func (j *job) programLayer(w io.Writer, i componentImage) error {
	t := newTarball(w)
	if err := t.file("usr/local/bin/"+i.Program, j.programs[i.Program], 0o755); err != nil {
		return err
	}
	for _, l := range i.Links {
		if err := t.link("usr/local/bin/"+l, i.Program); err != nil {
			return err
		}
	}
	return t.close()
}

// rootfsLayer takes what a script prints in the root file system.
func (j *job) rootfsLayer(ctx context.Context, w io.Writer, script string) error {
	args := append([]string{"run", "--rm", "--interactive"}, containerArgs()...)
	args = append(args, j.rootfs, "sh", "-s")
	return j.docker.Stream(ctx, bytes.NewReader(j.files[script].Content), w, j.log, nil, args...)
}

func writeLayer(file string, write func(w io.Writer) error) (_ layer, err error) {
	f, err := os.Create(filepath.Clean(file))
	if err != nil {
		return layer{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if err := write(io.MultiWriter(f, h)); err != nil {
		return layer{}, err
	}
	return layer{file: file, hash: hashOf(h)}, nil
}

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// writeArchive writes images in the format of docker save. Layers are not
// compressed: they are unpacked at once and thrown away.
func writeArchive(w io.Writer, images []packedImage) error {
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	t := newTarball(w)
	written := map[string]bool{}
	var manifest []entry
	for _, i := range images {
		raw, err := json.Marshal(i.config)
		if err != nil {
			return err
		}
		h := sha256.New()
		h.Write(raw)
		e := entry{Config: hashOf(h).Hex + ".json", RepoTags: i.names}
		if !written[e.Config] {
			written[e.Config] = true
			if err := t.text(e.Config, raw, 0o644); err != nil {
				return err
			}
		}
		for _, l := range i.layers {
			name := l.hash.Hex + ".tar"
			e.Layers = append(e.Layers, name)
			if written[name] {
				continue
			}
			written[name] = true
			if err := t.file(name, l.file, 0o644); err != nil {
				return err
			}
		}
		manifest = append(manifest, e)
	}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := t.text("manifest.json", raw, 0o644); err != nil {
		return err
	}
	return t.close()
}
