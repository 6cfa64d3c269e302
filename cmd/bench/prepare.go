package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/image"
	"labctl.dev/labctl/pkg/image/cache"
)

// images are the node image and those of the lab.
type images struct {
	node string
	refs []image.Ref
}

// labImages asks labctl which images the lab uses, so that every way runs the
// same ones.
func (b *bench) labImages(ctx context.Context) (images, error) {
	out, _, err := b.labctl(ctx, "images", "list", "-o", "json")
	if err != nil {
		return images{}, err
	}
	var list []engine.ImageStatus
	if err := json.Unmarshal(out, &list); err != nil {
		return images{}, fmt.Errorf("read labctl's images: %w", err)
	}
	var found images
	for _, entry := range list {
		switch {
		case entry.Name == image.NodeImage:
			found.node = entry.Engine()
		case slices.Contains(entry.Labs, b.lab) && entry.Name != image.RegistryImage:
			found.refs = append(found.refs, entry.Ref)
		}
	}
	if found.node == "" || len(found.refs) == 0 {
		return images{}, fmt.Errorf("labctl names no images for %s", b.lab)
	}
	return found, nil
}

// intoEngine gives the engine the image under the name that the chart uses,
// from which `kind load` takes it. labctl itself needs it only in its cache.
func intoEngine(ctx context.Context, ref image.Ref) error {
	from := ref.Engine()
	if _, err := docker(ctx, "image", "inspect", "--format", "{{.Id}}", from); err != nil {
		address, err := docker(ctx, "port", cache.Name, "5000/tcp")
		if err != nil {
			return fmt.Errorf("find labctl's image cache: %w", err)
		}
		address, _, _ = strings.Cut(address, "\n")
		from = ref.In(address)
		if _, err := docker(ctx, "pull", from); err != nil {
			return err
		}
	}
	_, err := docker(ctx, "tag", from, ref.String())
	return err
}

// writeKindConfig writes what kind needs on this machine, and nothing of what
// labctl does to be quick.
func (b *bench) writeKindConfig(ctx context.Context) error {
	cgroup, err := docker(ctx, "info", "--format", "{{.CgroupVersion}}")
	if err != nil {
		return err
	}
	out, err := docker(ctx, "image", "inspect", "--format", "{{json .Config.Labels}}", b.images.node)
	if err != nil {
		return err
	}
	var labels map[string]string
	if err := json.Unmarshal([]byte(out), &labels); err != nil {
		return fmt.Errorf("read the labels of %s: %w", b.images.node, err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	host := cluster.NewHost(cgroup, labels, string(status))
	config := map[string]any{
		"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4",
		"nodes":                   []any{map[string]any{"role": "control-plane"}},
		"networking":              map[string]any{"disableDefaultCNI": host.BuiltinCNI},
		"containerdConfigPatches": host.ContainerdPatches(),
	}
	if settings := host.KubeletSettings(); settings != nil {
		settings["kind"] = "KubeletConfiguration"
		patch, err := yaml.Marshal(settings)
		if err != nil {
			return err
		}
		config["kubeadmConfigPatches"] = []string{string(patch)}
	}
	return writeYAML(b.kindConfig(), config)
}

// prepareChart copies the charts, because `helm dependency build` writes into
// the chart's directory, and writes the values that name the images.
func (b *bench) prepareChart(ctx context.Context) error {
	lab := filepath.Join("labs", b.lab, "chart")
	for _, dir := range []string{"charts", lab} {
		if err := os.CopyFS(filepath.Join(b.dir, dir), os.DirFS(filepath.Join(b.source, dir))); err != nil {
			return fmt.Errorf("copy %s: %w", dir, err)
		}
	}
	if _, _, err := command(ctx, nil, b.helm, "dependency", "build", b.chart()); err != nil {
		return err
	}
	names := map[string]string{}
	for _, ref := range b.images.refs {
		names[ref.Name] = ref.String()
	}
	return writeYAML(b.values(), map[string]any{"global": map[string]any{"images": names}})
}

func writeYAML(path string, content any) error {
	out, err := yaml.Marshal(content)
	if err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o600)
}
