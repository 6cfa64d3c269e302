package engine

import (
	"context"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/release"
)

// Generated stands for what an install makes up, such as passwords.
const Generated = "generated-at-install"

// Rendering is what an install of a lab would put on a cluster.
type Rendering struct {
	Lab       string
	Namespace string
	// Objects are in the order of their installation. What differs from one
	// install to the next is Generated.
	Objects release.Manifests
}

// Render gives the manifests of a lab's chart. It needs no cluster and changes
// nothing.
func (e *Engine) Render(ctx context.Context, name string, flags Target) (*Rendering, error) {
	p, err := e.plan(ctx, name, flags)
	if err != nil {
		return nil, err
	}
	found, err := e.Images.Expect(ctx, p.images)
	if err != nil {
		return nil, clierr.Wrap(err, "name the images of "+name, "")
	}
	refs := make(map[string]string, len(found))
	for name, ref := range found {
		refs[name] = ref.String()
		if p.target.Registry != "" {
			refs[name] = ref.In(p.target.Registry)
		}
	}
	// Twice, because only the difference tells what is made up.
	var m [2]release.Manifests
	for i := range m {
		m[i], err = release.Render(ctx, p.chart, release.RenderOptions{Release: p.name, Namespace: p.namespace, Values: imageValues(refs)})
		if err != nil {
			return nil, clierr.Wrap(err, "render the chart of "+name, "")
		}
	}
	for i, o := range m[0].Objects {
		if i < len(m[1].Objects) {
			replaceGenerated(o, m[1].Objects[i])
		}
	}
	return &Rendering{Lab: name, Namespace: p.namespace, Objects: m[0]}, nil
}

// replaceGenerated changes what differs between two renderings of an object. A
// Secret gets it as plain text, so that a reader sees it and the object stays
// valid.
func replaceGenerated(o, other release.Object) {
	if data, ok := o.Object["data"].(map[string]any); ok && o.GetKind() == "Secret" {
		twin, _ := other.Object["data"].(map[string]any)
		plain, _ := o.Object["stringData"].(map[string]any)
		for key, value := range data {
			if twin[key] == value {
				continue
			}
			if plain == nil {
				plain = map[string]any{}
				o.Object["stringData"] = plain
			}
			plain[key] = Generated
			delete(data, key)
		}
		if len(data) == 0 {
			delete(o.Object, "data")
		}
	}
	replace(o.Object, other.Object)
}

// replace walks through two trees and gives the first one's value, changed.
func replace(v, other any) any {
	switch v := v.(type) {
	case map[string]any:
		twin, _ := other.(map[string]any)
		for key, child := range v {
			if t, ok := twin[key]; ok {
				v[key] = replace(child, t)
			}
		}
	case []any:
		twin, _ := other.([]any)
		for i := range min(len(v), len(twin)) {
			v[i] = replace(v[i], twin[i])
		}
	case string:
		if v != other {
			return Generated
		}
	}
	return v
}
