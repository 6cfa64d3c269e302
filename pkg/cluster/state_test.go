package cluster

import (
	"errors"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
)

func TestState(t *testing.T) {
	t.Parallel()
	node := func(status string, done bool) fakeNode {
		return fakeNode{name: "lab-control-plane", status: status, cluster: "lab", mount: ourDir, done: done}
	}
	for name, tt := range map[string]struct {
		nodes []fakeNode
		want  Phase
	}{
		"nothing":             {nil, Absent},
		"other cluster":       {[]fakeNode{{name: "kind-control-plane", status: "running", cluster: "kind"}}, Absent},
		"running":             {[]fakeNode{node("running", true)}, Running},
		"stopped":             {[]fakeNode{node("exited", true)}, Stopped},
		"engine restarted":    {[]fakeNode{node("restarting", true)}, Stopped},
		"paused":              {[]fakeNode{node("paused", true)}, Stopped},
		"half made":           {[]fakeNode{node("running", false)}, Partial},
		"made, never started": {[]fakeNode{node("created", false)}, Partial},
		"half made, stopped":  {[]fakeNode{node("exited", false)}, Partial},
		"half removed":        {[]fakeNode{node("dead", true)}, Partial},
		"foreign kind":        {[]fakeNode{{name: "lab-control-plane", status: "running", cluster: "lab"}}, Foreign},
		"of another labctl":   {[]fakeNode{{name: "lab-control-plane", status: "running", cluster: "lab", mount: "/other/id/1"}}, Foreign},
		"stray container":     {[]fakeNode{{name: "lab-control-plane", status: "running"}}, Foreign},
		"one node stopped": {
			[]fakeNode{node("running", true), {name: "lab-worker", status: "exited", cluster: "lab", mount: ourDir}},
			Stopped,
		},
		"one node foreign": {[]fakeNode{node("running", true), {name: "lab-worker", status: "running", cluster: "lab"}}, Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := newManager(t, &fakeEngine{nodes: tt.nodes}, fakeKind{}).State(t.Context(), "lab")
			if err != nil {
				t.Fatal(err)
			}
			if st.Phase != tt.want {
				t.Errorf("phase %s, want %s (%s)", st.Phase, tt.want, st.Why)
			}
		})
	}
}

func TestStateOfBrokenEngine(t *testing.T) {
	t.Parallel()
	engine := &fakeEngine{fail: map[string]string{"ps": "Cannot connect to the Docker daemon"}}
	if _, err := newManager(t, engine, fakeKind{}).State(t.Context(), "lab"); err == nil {
		t.Error("no error")
	}
	if _, err := newManager(t, engine, fakeKind{}).State(t.Context(), "--all"); clierr.Code(err) != clierr.CodeUsage {
		t.Errorf("a bad name gave %v", err)
	}
	if len(engine.calls) != 1 {
		t.Errorf("a bad name reached the engine: %q", engine.calls)
	}
}

func TestLifecycleHandsOff(t *testing.T) {
	t.Parallel()
	engine := &fakeEngine{nodes: []fakeNode{{name: "lab-control-plane", status: "running", cluster: "lab", done: true}}}
	m := newManager(t, engine, fakeKind{})
	for name, err := range map[string]error{
		"delete": m.Delete(t.Context(), "lab"), "stop": m.Stop(t.Context(), "lab"), "start": m.Start(t.Context(), "lab"),
	} {
		if !errors.Is(err, ErrForeign) || clierr.Describe(err).Hint == "" {
			t.Errorf("%s of a foreign cluster: %v", name, err)
		}
	}
	for _, word := range []string{"rm", "stop", "start"} {
		if calls := engine.called(word); len(calls) > 0 {
			t.Errorf("touched it: %q", calls)
		}
	}
	if err := m.Delete(t.Context(), "other"); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	if err := m.Stop(t.Context(), "other"); !errors.Is(err, ErrAbsent) {
		t.Errorf("stop of nothing: %v", err)
	}
}

func TestStopAndStart(t *testing.T) {
	t.Parallel()
	engine := &fakeEngine{nodes: []fakeNode{{name: "lab-control-plane", status: "paused", cluster: "lab", mount: ourDir, done: true}}}
	m := newManager(t, engine, fakeKind{})
	if err := m.Stop(t.Context(), "lab"); err != nil {
		t.Fatal(err)
	}
	if len(engine.called("unpause")) != 1 || len(engine.called("stop")) != 1 {
		t.Errorf("calls %q", engine.calls)
	}
	engine.nodes[0].status = "exited"
	if err := m.Start(t.Context(), "lab"); err != nil {
		t.Fatal(err)
	}
	if len(engine.called("start")) != 1 {
		t.Errorf("calls %q", engine.calls)
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	engine := &fakeEngine{networks: map[string]map[string]string{"ours": {"dev.labctl.owner": "labctl"}, "theirs": {}}}
	m := newManager(t, engine, fakeKind{})
	if err := m.EnsureNetwork(t.Context(), "ours"); err != nil || len(engine.called("network create")) != 0 {
		t.Errorf("an existing network: %v, %q", err, engine.calls)
	}
	if err := m.EnsureNetwork(t.Context(), "new"); err != nil || len(engine.called("network create")) != 1 {
		t.Errorf("a new network: %v, %q", err, engine.calls)
	}
	if _, err := m.RemoveNetwork(t.Context(), "theirs"); err != nil || len(engine.called("network rm")) != 0 {
		t.Errorf("a foreign network: %v, %q", err, engine.calls)
	}
	engine.nodes = []fakeNode{{name: "guest"}}
	if users, err := m.RemoveNetwork(t.Context(), "ours"); err != nil || len(users) != 1 || len(engine.called("network rm")) != 0 {
		t.Errorf("a network in use: %v, %v, %q", users, err, engine.calls)
	}
	engine.nodes = nil
	if users, err := m.RemoveNetwork(t.Context(), "ours"); err != nil || len(users) != 0 || len(engine.called("network rm")) != 1 {
		t.Errorf("an idle network: %v, %v, %q", users, err, engine.calls)
	}
}
