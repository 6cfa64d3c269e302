package probe

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
)

// stateful are the kinds whose pods or volumes say how they are; to look at
// others, the objects themselves are enough.
func stateful(gvk schema.GroupVersionKind) bool {
	switch gvk.GroupKind().String() {
	case "Pod", "PersistentVolumeClaim", "Deployment.apps", "StatefulSet.apps", "Job.batch":
		return true
	default:
		return false
	}
}

func (p *Prober) kube(ctx context.Context, spec *lab.KubeProbe) (Observation, error) {
	gv, err := schema.ParseGroupVersion(spec.APIVersion)
	if err != nil {
		return Observation{}, lasting(err, "This is a mistake in the lab: labctl lint.")
	}
	gvk := gv.WithKind(spec.Kind)
	objects, err := p.objects()
	if err != nil {
		return Observation{}, trouble(err)
	}
	look := &kube.Look{}
	if stateful(gvk) {
		if look, err = p.look(ctx); err != nil {
			return Observation{}, err
		}
	}
	if spec.Name == "" {
		list, err := objects.Select(ctx, gvk, spec.Selector)
		if err != nil {
			return Observation{}, trouble(fmt.Errorf("list %s objects: %w", spec.Kind, err))
		}
		return several(look, list), nil
	}
	o, err := objects.Get(ctx, gvk, spec.Name)
	if err != nil {
		return Observation{}, trouble(fmt.Errorf("read %s/%s: %w", spec.Kind, spec.Name, err))
	}
	if o == nil {
		return Observation{Vars: map[string]any{"object": nil}}, nil
	}
	seen := Observation{Vars: map[string]any{"object": content(o)}}
	seen.settle(look.Object(o))
	return seen, nil
}

// several is what is seen of a list: it moves as long as one of its objects
// does, and is hopeless when none moves and one can't.
func several(look *kube.Look, list []unstructured.Unstructured) Observation {
	objects := make([]any, 0, len(list))
	var seen Observation
	for i := range list {
		objects = append(objects, content(&list[i]))
		s := look.Object(&list[i])
		if s.Hopeless == "" && s.Moving != "" && seen.Moving == "" {
			seen.Moving = s.Moving
		}
		if seen.Hopeless == "" {
			seen.Hopeless = s.Hopeless
		}
	}
	if seen.Moving != "" {
		seen.Hopeless = ""
	}
	seen.Vars = map[string]any{"objects": objects}
	return seen
}

// content leaves out who set which field when: it is longer than the object.
func content(o *unstructured.Unstructured) map[string]any {
	unstructured.RemoveNestedField(o.Object, "metadata", "managedFields")
	return o.Object
}
