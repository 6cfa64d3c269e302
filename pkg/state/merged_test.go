package state_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/state"
)

func TestMerged(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	a := state.Merged{Lab: "a", File: "/home/u/.kube/config", Context: "labctl-a"}
	b := state.Merged{Lab: "b", File: "/home/u/.kube/config", Context: "labctl-b"}
	for _, m := range []state.Merged{a, b, a} {
		if err := d.AddMerged(m); err != nil {
			t.Fatal(err)
		}
	}
	want := func(list ...state.Merged) {
		t.Helper()
		got, err := d.Merged()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list, got); diff != "" {
			t.Errorf("Merged() (-want +got):\n%s", diff)
		}
	}
	want(a, b)
	for _, lab := range []string{"a", "none", "b"} {
		if err := d.ForgetMerged(lab); err != nil {
			t.Fatal(err)
		}
	}
	want()
}
