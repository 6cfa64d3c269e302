package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"labctl.dev/labctl/pkg/kube"
)

const (
	// maxManifest bounds the size of a file with manifests.
	maxManifest = 1 << 20
	// bufferSize is what tells JSON from YAML.
	bufferSize = 4096
)

func (r *Runner) readApply(file string) (work, error) {
	objects, err := r.manifests(file)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (string, error) {
		for _, o := range objects {
			err := r.apply(ctx, o)
			if errors.Is(err, kube.ErrClusterScoped) {
				return "", fmt.Errorf("%s %s of %s: a lab stays in its namespace, and this kind %w", o.GetKind(), o.GetName(), file, kube.ErrClusterScoped)
			}
			if err != nil {
				return "", fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
			}
		}
		return "", nil
	}, nil
}

// manifests reads the objects of a file: one or more documents of YAML or
// JSON, lists among them.
func (r *Runner) manifests(file string) ([]*unstructured.Unstructured, error) {
	data, err := readFile(r.files, file)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), bufferSize)
	var objects []*unstructured.Unstructured
	for n := 1; ; n++ {
		var content map[string]any
		err := decoder.Decode(&content)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("document %d of %s: %w", n, file, err)
		}
		if len(content) == 0 {
			continue // only comments
		}
		list, err := r.document(content)
		if err != nil {
			return nil, fmt.Errorf("document %d of %s: %w", n, file, err)
		}
		objects = append(objects, list...)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("%s has no objects", file)
	}
	return objects, nil
}

// document gives the objects of one document, all in the lab's namespace.
func (r *Runner) document(content map[string]any) ([]*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(content)}
	if o.IsList() {
		list, err := o.ToList()
		if err != nil {
			return nil, err
		}
		var objects []*unstructured.Unstructured
		for i := range list.Items {
			inner, err := r.document(list.Items[i].Object)
			if err != nil {
				return nil, err
			}
			objects = append(objects, inner...)
		}
		return objects, nil
	}
	switch {
	case o.GetKind() == "" || o.GetAPIVersion() == "":
		return nil, errors.New("it needs apiVersion and kind")
	case o.GetName() == "":
		return nil, fmt.Errorf("%s needs metadata.name", o.GetKind())
	case o.GetNamespace() != "" && o.GetNamespace() != r.namespace:
		return nil, fmt.Errorf("%s %s is in namespace %q; a lab stays in its own: leave metadata.namespace out", o.GetKind(), o.GetName(), o.GetNamespace())
	}
	o.SetNamespace(r.namespace)
	return []*unstructured.Unstructured{o}, nil
}

func readFile(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxManifest {
		return nil, fmt.Errorf("%s is larger than %d KiB", name, maxManifest>>10)
	}
	return data, nil
}
