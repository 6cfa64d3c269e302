package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/release"
)

func TestReplaceGenerated(t *testing.T) {
	t.Parallel()
	object := func(secret string) release.Object {
		return release.Object{Object: map[string]any{
			"kind": "Secret", "metadata": map[string]any{"name": "a", "annotations": map[string]any{"sum": secret}},
			"data": map[string]any{"password": secret, "user": "bGFi"},
			"list": []any{"same", secret, int64(7)},
		}}
	}
	o := object("eA==")
	replaceGenerated(o, object("eQ=="))
	want := map[string]any{
		"kind": "Secret", "metadata": map[string]any{"name": "a", "annotations": map[string]any{"sum": Generated}},
		"data": map[string]any{"user": "bGFi"}, "stringData": map[string]any{"password": Generated},
		"list": []any{"same", Generated, int64(7)},
	}
	if diff := cmp.Diff(want, o.Object); diff != "" {
		t.Error(diff)
	}

	o = release.Object{Object: map[string]any{"kind": "Secret", "data": map[string]any{"password": "eA=="}}}
	replaceGenerated(o, release.Object{Object: map[string]any{"kind": "Secret", "data": map[string]any{"password": "eQ=="}}})
	if _, ok := o.Object["data"]; ok {
		t.Error("an empty data is left")
	}

	o = object("eA==")
	replaceGenerated(o, object("eA=="))
	if diff := cmp.Diff(object("eA==").Object, o.Object); diff != "" {
		t.Errorf("two equal renderings were changed: %s", diff)
	}
}
