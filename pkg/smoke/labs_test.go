package smoke

import (
	"testing"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/ui"
)

type oneLab struct{}

func (oneLab) Get(string) (catalog.Entry, error) { return catalog.Entry{Lab: demo()}, nil }

// TestUnknownState: a state that is not there is said before a lab comes up.
func TestUnknownState(t *testing.T) {
	t.Parallel()
	// There is no engine to bring anything up.
	p := New(Deps{Labs: oneLab{}})
	_, err := p.Run(t.Context(), Options{Labs: []string{"demo"}, States: Selection{Names: []string{"fault/strom"}}}, ui.Discard())
	if clierr.Code(err) != clierr.CodeUsage {
		t.Fatalf("exit code %d: %v", clierr.Code(err), err)
	}
	want := `demo has no state "fault/strom"; did you mean fault/storm?`
	if err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
