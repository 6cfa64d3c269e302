package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/release"
	"labctl.dev/labctl/pkg/ui"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	finding := func(id string, s doctor.Status) doctor.Finding {
		return doctor.Finding{ID: id, Status: s, Title: "T " + id, Found: "1", Needed: "2", Why: "because", Fix: "fix " + id}
	}
	ignored := finding(doctor.IDMemory, doctor.Fail)
	ignored.Ignored = true
	tests := map[string]struct {
		findings []doctor.Finding
		warnings []string
		id       string
		detail   string
	}{
		"fit":     {findings: []doctor.Finding{finding(doctor.IDMemory, doctor.OK)}},
		"ignored": {findings: []doctor.Finding{ignored}},
		"a warning that presses": {
			findings: []doctor.Finding{finding(doctor.IDMemory, doctor.Warn)}, warnings: []string{"T memory: 1; because"},
		},
		"a warning for the doctor": {findings: []doctor.Finding{finding(doctor.IDTimeSkew, doctor.Warn)}},
		"unfit": {
			findings: []doctor.Finding{finding(doctor.IDDisk, doctor.Warn), finding(doctor.IDMemory, doctor.Fail), finding(doctor.IDCPU, doctor.Fail)},
			warnings: []string{"T disk: 1; because"}, id: doctor.IDMemory,
			detail: "T memory: found 1, needed 2\n    fix memory\nT cpu: found 1, needed 2\n    fix cpu",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{}
			_, err := (&Engine{}).judge(doctor.Report{Findings: tt.findings}, rec)
			if (err != nil) != (tt.id != "") {
				t.Fatalf("error %v", err)
			}
			var warnings []string
			for _, e := range rec.events {
				if e.Kind == ui.Warn {
					warnings = append(warnings, e.Text)
				}
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if err == nil {
				return
			}
			r := clierr.Describe(err)
			if r.Code != clierr.CodeUnfit || r.ID != tt.id || !strings.HasSuffix(r.Hint, "--ignore memory,cpu") {
				t.Errorf("%+v", r)
			}
			if diff := cmp.Diff(tt.detail, r.Detail); diff != "" {
				t.Errorf("detail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPickEndpoint(t *testing.T) {
	t.Parallel()
	with := &lab.Lab{Metadata: lab.Metadata{Name: "x"}, Endpoints: []lab.Endpoint{{Name: "ui", Port: 1}, {Name: "api", Port: 2}}}
	tests := map[string]struct {
		lab  *lab.Lab
		name string
		port int
		hint string
	}{
		"the first":    {lab: with, port: 1},
		"by name":      {lab: with, name: "api", port: 2},
		"unknown":      {lab: with, name: "x", hint: "the endpoints are: ui, api"},
		"no endpoints": {lab: &lab.Lab{Metadata: lab.Metadata{Name: "x"}}, hint: "labctl shell x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ep, err := pickEndpoint(tt.lab, tt.name)
			if tt.hint != "" {
				if r := clierr.Describe(err); r.Code != clierr.CodeUsage || r.Hint != tt.hint {
					t.Errorf("%+v", r)
				}
				return
			}
			if err != nil || ep.Port != tt.port {
				t.Errorf("%+v, %v", ep, err)
			}
		})
	}
}

func TestLabState(t *testing.T) {
	t.Parallel()
	ready, not := kube.WorkloadStatus{Ready: true}, kube.WorkloadStatus{}
	tests := []struct {
		name     string
		status   release.Status
		wasReady bool
		rows     []kube.WorkloadStatus
		want     string
	}{
		{"all ready", release.StatusDeployed, true, []kube.WorkloadStatus{ready, ready}, "ready"},
		{"ready for the first time", release.StatusDeployed, false, []kube.WorkloadStatus{ready}, "ready"},
		{"not yet", release.StatusDeployed, false, []kube.WorkloadStatus{ready, not}, "starting"},
		{"no longer", release.StatusDeployed, true, []kube.WorkloadStatus{ready, not}, "not ready"},
		{"half installed", release.StatusPendingInstall, false, nil, "installing"},
		{"failed", release.StatusFailed, false, []kube.WorkloadStatus{ready}, "failed"},
		{"no release", "", false, nil, "installing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := labState(release.Info{Status: tt.status}, tt.wasReady, tt.rows); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWorkloadRow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   kube.WorkloadStatus
		want ui.RowState
	}{
		"ready":    {kube.WorkloadStatus{Ready: true}, ui.Ready},
		"failed":   {kube.WorkloadStatus{Failed: true}, ui.Failed},
		"starting": {kube.WorkloadStatus{}, ui.Working},
	}
	for name, tt := range tests {
		tt.in.Kind, tt.in.Name, tt.in.Message = "StatefulSet", "postgres", "m"
		want := ui.Event{Item: "statefulset/postgres", State: tt.want, Text: "m"}
		if diff := cmp.Diff(want, workloadRow(tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNotUp(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	tests := map[cluster.Phase]string{
		cluster.Stopped: "labctl resume",
		cluster.Absent:  "labctl up x",
		cluster.Foreign: "kind delete cluster --name labctl",
	}
	for phase, want := range tests {
		if hint := clierr.Describe(e.notUp("x", cluster.State{Phase: phase})).Hint; !strings.Contains(hint, want) {
			t.Errorf("%s: hint %q", phase, hint)
		}
	}
}
