package near

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	t.Parallel()
	labs := []string{"model-registry", "serving", "drift-monitor", "retraining"}
	tests := map[string]struct {
		name string
		want []string
	}{
		"one letter off":   {"model-registri", []string{"model-registry"}},
		"a part":           {"registry", []string{"model-registry"}},
		"upper case":       {"Serving", []string{"serving"}},
		"nothing like it":  {"postgres", nil},
		"empty":            {"", nil},
		"one letter":       {"x", nil},
		"closest is first": {"retrainin", []string{"retraining"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, Names(tt.name, labs)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	if got := Hint("prt", []string{"port", "path"}); got != "; did you mean port or path?" {
		t.Error(got)
	}
	if got := Hint("xyz", []string{"port"}); got != "" {
		t.Error(got)
	}
}
