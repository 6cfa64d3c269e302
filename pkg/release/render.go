package release

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// defaultKubeVersion stands for a cluster that is not there yet. Helm's own
// default is set when its command is built, and is old in the library.
const defaultKubeVersion = "v1.37.0"

// RenderOptions say for whom a chart is rendered.
type RenderOptions struct {
	Release   string
	Namespace string
	// KubeVersion is that of the cluster, as v1.37.2; empty is a current one.
	KubeVersion string
	Values      Values
}

// Render gives the objects that an install would make, without a cluster:
// generated secrets differ from those of any install.
func Render(ctx context.Context, c *Chart, opts RenderOptions) (Manifests, error) {
	if err := ctx.Err(); err != nil {
		return Manifests{}, err
	}
	ch, err := c.fresh()
	if err != nil {
		return Manifests{}, err
	}
	values, err := plain(opts.Values)
	if err != nil {
		return Manifests{}, err
	}
	// A configuration of its own: with ClientOnly Helm puts fakes into it.
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly = true
	install.DryRun = true
	install.DisableOpenAPIValidation = true
	install.ReleaseName = opts.Release
	install.Namespace = opts.Namespace
	version, err := chartutil.ParseKubeVersion(cmp.Or(opts.KubeVersion, defaultKubeVersion))
	if err != nil {
		return Manifests{}, fmt.Errorf("render chart %s: %w", c.Name, err)
	}
	install.KubeVersion = version
	r, err := install.RunWithContext(ctx, ch, values)
	if err != nil {
		return Manifests{}, fmt.Errorf("render chart %s: %w", c.Name, err)
	}
	if len(r.Hooks) > 0 {
		// The wait for readiness would not see it, and Helm would wait silently.
		return Manifests{}, fmt.Errorf("render chart %s: %s is a Helm hook; a lab has plain objects only", c.Name, r.Hooks[0].Path)
	}
	objects, err := parse(r.Manifest, opts.Namespace)
	if err != nil {
		return Manifests{}, fmt.Errorf("render chart %s: %w", c.Name, err)
	}
	return Manifests{Objects: objects, Notes: r.Info.Notes}, nil
}

// parse splits a manifest, in its order, and fills in the namespace.
func parse(manifest, namespace string) ([]Object, error) {
	// Not Helm's own splitter, which takes the last newline of each document off,
	// and with it that of a text in a ConfigMap.
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifest)))
	var objects []Object
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		data, err := yaml.YAMLToJSON(doc)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		if string(data) == "null" {
			continue // only comments
		}
		var o Object
		if err := o.UnmarshalJSON(data); err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		if o.GetNamespace() == "" {
			o.SetNamespace(namespace)
		}
		objects = append(objects, o)
	}
}

// plain copies values and makes them what a YAML file would give, because
// templates can't use a map[string]string.
func plain(values Values) (Values, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	copied := Values{}
	if err := json.Unmarshal(data, &copied); err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	return copied, nil
}

// Manifests are the rendered objects of a chart, in the order of their
// installation.
type Manifests struct {
	Objects []Object
	Notes   string
}

// Images gives the image references of all containers, sorted.
func (m Manifests) Images() []string {
	var images []string
	for _, o := range m.Objects {
		w, err := workloadOf(o)
		if err != nil || w == nil {
			continue
		}
		for _, c := range slices.Concat(w.pod.InitContainers, w.pod.Containers) {
			images = append(images, c.Image)
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// YAML gives the objects as one stream of documents.
func (m Manifests) YAML() ([]byte, error) {
	var out []byte
	var failed []error
	for _, o := range m.Objects {
		data, err := yaml.Marshal(o.Object)
		failed = append(failed, err)
		out = append(append(out, "---\n"...), data...)
	}
	return out, errors.Join(failed...)
}
