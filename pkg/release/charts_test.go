package release_test

import (
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/charts"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/release"
)

// components gives the charts that can be installed.
func components(t *testing.T) []string {
	t.Helper()
	dirs, err := fs.ReadDir(charts.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range dirs {
		if d.Name() != "common" {
			names = append(names, d.Name())
		}
	}
	return names
}

// values are those that a chart needs to render the same text each time.
func chartValues(name string) release.Values {
	v := release.Values{"global": map[string]any{"images": map[string]string{
		"postgres": "registry.labctl/postgres:1", "objectstore": "registry.labctl/objectstore:1",
		"mlflow": "registry.labctl/mlflow:1", "model-server": "registry.labctl/model-server:1",
		"workbench": "registry.labctl/workbench:1", "gateway": "registry.labctl/gateway:1",
		"monitoring": "registry.labctl/monitoring:1", "workbench-monitoring": "registry.labctl/workbench-monitoring:1",
	}}}
	switch name {
	case "postgres":
		v["auth"] = map[string]any{"password": "golden"}
	case "objectstore":
		v["auth"] = map[string]any{"accessKey": "golden", "secretKey": "golden"}
	}
	return v
}

func render(t *testing.T, name string, values release.Values) release.Manifests {
	t.Helper()
	c, err := release.Load(charts.FS, charts.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := release.Render(t.Context(), c, release.RenderOptions{
		Release: "demo", Namespace: "lab-demo", KubeVersion: "v1.37.0", Values: values,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestComponentCharts(t *testing.T) {
	t.Parallel()
	for _, name := range components(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render(t, name, chartValues(name))
			got, err := m.YAML()
			if err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, got, "charts/"+name+".yaml")
			again, err := render(t, name, chartValues(name)).YAML()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(got), string(again)); diff != "" {
				t.Errorf("a second rendering differs:\n%s", diff)
			}
			if m.Notes == "" {
				t.Error("no notes")
			}
		})
	}
}

// TestComponentChartVariants renders what labs set apart from the defaults.
func TestComponentChartVariants(t *testing.T) {
	t.Parallel()
	off := map[string]any{"enabled": false}
	tests := map[string]struct {
		chart  string
		values release.Values
	}{
		"workbench-monitoring": {"workbench", release.Values{"image": "workbench-monitoring", "rights": map[string]any{
			"pods": true, "services": true, "deployments": true, "cronjobs": true, "scaling": true,
		}}},
		"monitoring-prometheus": {"monitoring", release.Values{"alertmanager": off, "pushgateway": off, "pager": off}},
		"monitoring-routes":     {"monitoring", release.Values{"alertmanager": map[string]any{"config": "route: {receiver: night}\n"}}},
		"gateway-routes":        {"gateway", release.Values{"replicas": 2, "routes": "# one line\nglobal\n"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := chartValues(tt.chart)
			maps.Copy(values, tt.values)
			got, err := render(t, tt.chart, values).YAML()
			if err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, got, "charts/variants/"+name+".yaml")
		})
	}
}

func TestGeneratedSecrets(t *testing.T) {
	t.Parallel()
	secret := func(values release.Values) string {
		for _, o := range render(t, "postgres", values).Objects {
			if o.GetKind() == "Secret" {
				data, _ := o.Object["data"].(map[string]any)
				password, _ := data["password"].(string)
				return password
			}
		}
		return ""
	}
	given := chartValues("postgres")
	if got := secret(given); got != "Z29sZGVu" {
		t.Errorf("a given password became %q", got)
	}
	delete(given, "auth")
	first, second := secret(given), secret(given)
	if first == second || len(first) != 32 {
		t.Errorf("passwords are not random: %q, %q", first, second)
	}
}

// TestBadValues looks at what an author reads after a mistake.
func TestBadValues(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		chart  string
		values release.Values
		want   string
	}{
		"no image":      {"postgres", nil, `no image for "postgres": set global.images.postgres to a full reference`},
		"unknown field": {"mlflow", release.Values{"replicas": 2}, "replicas"},
		"wrong enum":    {"mlflow", release.Values{"schema": "maybe"}, "create"},
		"bad size":      {"postgres", release.Values{"storage": map[string]any{"size": "big"}}, "size"},
		"bad database":  {"postgres", release.Values{"databases": []string{"a; drop"}}, "databases"},
		"bad weight":    {"gateway", release.Values{"canary": map[string]any{"weight": 300}}, "weight"},
		"bad right":     {"workbench", release.Values{"rights": map[string]any{"secrets": true}}, "secrets"},
		"bad rules":     {"monitoring", release.Values{"prometheus": map[string]any{"rules": []string{"alerts"}}}, "rules"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := release.Load(charts.FS, charts.FS, tt.chart)
			if err != nil {
				t.Fatal(err)
			}
			_, err = release.Render(t.Context(), c, release.RenderOptions{Release: "demo", Namespace: "lab-demo", Values: tt.values})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}
