package lint

import (
	"context"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/release"
)

// placeholder is the registry of the images that labctl builds.
const placeholder = "placeholder.labctl/"

// library is the chart that others take templates from; it brings no pods.
const library = "common"

// chart renders the lab's chart, and holds the lab.yaml against it.
func (r *run) chart(ctx context.Context) {
	file := path.Join(chartDir, "Chart.yaml")
	c, err := release.Load(r.Charts, r.files, chartDir)
	if err != nil {
		r.addFile("chart", Error, file, "%s", oneLine(err))
		return
	}
	name := r.lab.Metadata.Name
	if c.Name != name {
		r.addFile("chart", Error, file, "the chart is named %s; it must be %s", c.Name, name)
	}
	r.components(file)
	refs := make(map[string]any, len(r.Images))
	for _, image := range r.Images {
		refs[image] = placeholder + image
	}
	m, err := release.Render(ctx, c, release.RenderOptions{
		Release: name, Namespace: "lab-" + name, Values: release.Values{"global": map[string]any{"images": refs}},
	})
	if err != nil {
		r.addFile("chart", Error, file, "%s", oneLine(err))
		return
	}
	for _, image := range m.Images() {
		if !strings.HasPrefix(image, placeholder) {
			r.addFile("image", Note, file, "image %s is none of labctl's, so nodes pull it by themselves: the lab will not start offline", image)
		}
	}
	r.objects(file, m)
}

// objects looks at what the chart makes.
func (r *run) objects(file string, m release.Manifests) {
	var names []string
	ports := map[string][]int64{}
	for _, o := range m.Objects {
		names = append(names, o.GetName())
		if slices.Contains(clusterKinds(), o.GetKind()) {
			r.addFile("chart", Error, file, "%s %s is not for a namespace; a lab stays inside its own", o.GetKind(), o.GetName())
		}
		if o.GetNamespace() != "lab-"+r.lab.Metadata.Name {
			r.addFile("chart", Error, file, "%s %s is in namespace %s; a lab stays inside its own", o.GetKind(), o.GetName(), o.GetNamespace())
		}
		if o.GetKind() == "Service" {
			ports[o.GetName()] = servicePorts(o)
		}
	}
	for i, e := range r.lab.Endpoints {
		if !slices.Contains(ports[e.Service], int64(e.Port)) {
			r.add("endpoint", Error, fieldOf("endpoints", i), "the chart has no Service %s with port %d", e.Service, e.Port)
		}
	}
	r.names(names)
}

func servicePorts(o release.Object) []int64 {
	var ports []int64
	list, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
	for _, p := range list {
		if m, ok := p.(map[string]any); ok {
			number, _, _ := unstructured.NestedInt64(m, "port")
			ports = append(ports, number)
		}
	}
	return ports
}

// components holds the list in lab.yaml against the chart's dependencies.
func (r *run) components(file string) {
	data, err := r.read(file)
	if err != nil {
		r.addFile("chart", Error, file, "%v", err)
		return
	}
	var chart struct {
		Dependencies []struct {
			Name string `json:"name"`
		} `json:"dependencies"`
	}
	if err := yaml.Unmarshal(data, &chart); err != nil {
		r.addFile("chart", Error, file, "%s", oneLine(err))
		return
	}
	var names []string
	for _, d := range chart.Dependencies {
		names = append(names, d.Name)
	}
	for i, c := range r.lab.Components {
		if !slices.Contains(names, c) {
			r.add("component-missing", Error, fieldOf("components", i), "%s is no dependency in %s%s", c, file, near.Hint(c, names))
		}
	}
	for _, d := range names {
		if d != library && !slices.Contains(r.lab.Components, d) {
			r.addFile("component-unlisted", Note, file, "%s is not in the components of %s", d, lab.FileName)
		}
	}
}
