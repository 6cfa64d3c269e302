package smoke

import (
	"testing"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/ui"
)

func TestOpens(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		seen probe.Observation
		want string
	}{
		"a page":       {probe.Observation{Vars: map[string]any{"status": int64(200)}}, ""},
		"a detour":     {probe.Observation{Vars: map[string]any{"status": int64(302)}}, ""},
		"who are you":  {probe.Observation{Vars: map[string]any{"status": int64(403)}}, ""},
		"no such page": {probe.Observation{Vars: map[string]any{"status": int64(404)}}, "answers HTTP 404"},
		"trouble":      {probe.Observation{Vars: map[string]any{"status": int64(503)}}, "answers HTTP 503"},
		"nobody":       {probe.Observation{Vars: map[string]any{"status": int64(0)}, Silent: "no endpoints"}, "does not answer: no endpoints"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := opens(tt.seen); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

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
