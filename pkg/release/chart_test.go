package release

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"helm.sh/helm/v3/pkg/chart/loader"
)

// file makes a map entry.
func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// chartYAML makes a Chart.yaml. Dependencies are written as name=repository.
func chartYAML(name string, dependencies ...string) *fstest.MapFile {
	text := "apiVersion: v2\nname: " + name + "\nversion: 0.1.0\n"
	if len(dependencies) > 0 {
		text += "dependencies:\n"
	}
	for _, d := range dependencies {
		n, repository, _ := strings.Cut(d, "=")
		text += "  - {name: " + n + ", version: 0.1.0, repository: \"" + repository + "\"}\n"
	}
	return file(text)
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		charts fstest.MapFS
		chart  *fstest.MapFile
		want   string
	}{
		"no chart":          {nil, nil, "Chart.yaml file is missing"},
		"unknown component": {nil, chartYAML("demo", "web=file://../../../charts/web"), "web: file does not exist"},
		"remote repository": {nil, chartYAML("demo", "web=https://example.org/charts"), `repository "https://example.org/charts" is not a local one`},
		"outside":           {nil, chartYAML("demo", "etc=file:///etc"), "is not a local one"},
		"another chart":     {nil, chartYAML("demo", "web=file://../../../charts/db"), "is that of another chart"},
		"other version": {
			fstest.MapFS{"web/Chart.yaml": file("apiVersion: v2\nname: web\nversion: 0.2.0\n")},
			chartYAML("demo", "web=file://../../../charts/web"), `version "0.1.0" is wanted, the chart is 0.2.0`,
		},
		"circle": {
			fstest.MapFS{"a/Chart.yaml": chartYAML("a", "b=file://../b"), "b/Chart.yaml": chartYAML("b", "a=file://../a")},
			chartYAML("demo", "a=file://../../../charts/a"), "depends on itself: demo -> a -> b -> a",
		},
		"not YAML": {nil, file("apiVersion: ["), "cannot load Chart.yaml"},
		"no name":  {nil, file("apiVersion: v2\nversion: 0.1.0\n"), "chart.metadata.name is required"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := fstest.MapFS{"chart/values.yaml": file("a: 1\n")}
			if tt.chart != nil {
				lab["chart/Chart.yaml"] = tt.chart
			}
			if tt.charts == nil {
				tt.charts = fstest.MapFS{}
			}
			_, err := Load(tt.charts, lab, "chart")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

// TestLoadBounds: what a directory holds is read with bounds, and pipes not at all.
func TestLoadBounds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		add  func(lab fstest.MapFS)
		want string
	}{
		"a large file": {
			func(lab fstest.MapFS) {
				lab["chart/values.yaml"] = &fstest.MapFile{Data: make([]byte, loader.MaxDecompressedFileSize+1)}
			},
			"chart/values.yaml is larger than 5 MiB",
		},
		"many files": {
			func(lab fstest.MapFS) {
				for _, name := range []string{"a", "b", "c", "d", "e"} {
					lab["chart/files/"+name] = &fstest.MapFile{Data: make([]byte, loader.MaxDecompressedFileSize)}
				}
			},
			"larger than 20 MiB in all",
		},
		"a pipe": {
			func(lab fstest.MapFS) { lab["chart/values.yaml"] = &fstest.MapFile{Mode: fs.ModeNamedPipe} },
			"chart/values.yaml is no ordinary file",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := fstest.MapFS{"chart/Chart.yaml": chartYAML("demo")}
			tt.add(lab)
			if _, err := Load(fstest.MapFS{}, lab, "chart"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := func(change func(charts, lab fstest.MapFS)) string {
		charts := fstest.MapFS{"web/Chart.yaml": chartYAML("web"), "web/values.yaml": file("a: 1\n")}
		lab := fstest.MapFS{"chart/Chart.yaml": chartYAML("demo", "web=file://../../../charts/web")}
		change(charts, lab)
		c, err := Load(charts, lab, "chart")
		if err != nil {
			t.Fatal(err)
		}
		return c.Digest
	}
	base := digest(func(_, _ fstest.MapFS) {})
	if !strings.HasPrefix(base, "sha256:") {
		t.Error(base)
	}
	same := map[string]func(charts, lab fstest.MapFS){
		"nothing":           func(_, _ fstest.MapFS) {},
		"another component": func(charts, _ fstest.MapFS) { charts["db/Chart.yaml"] = chartYAML("db") },
		"a dependency build": func(_, lab fstest.MapFS) {
			lab["chart/charts/web-0.1.0.tgz"] = file("x")
			lab["chart/Chart.lock"] = file("x")
		},
		"a hidden file": func(_, lab fstest.MapFS) { lab["chart/.swp"] = file("x") },
	}
	for name, change := range same {
		if digest(change) != base {
			t.Errorf("%s changes the digest", name)
		}
	}
	other := map[string]func(charts, lab fstest.MapFS){
		"a value of a component": func(charts, _ fstest.MapFS) { charts["web/values.yaml"] = file("a: 2\n") },
		"a new template":         func(_, lab fstest.MapFS) { lab["chart/templates/x.yaml"] = file("") },
	}
	for name, change := range other {
		if digest(change) == base {
			t.Errorf("%s does not change the digest", name)
		}
	}
}

// TestLoadIsNotChangedByUse renders one Chart twice: Helm changes what it is given.
func TestLoadIsNotChangedByUse(t *testing.T) {
	t.Parallel()
	c := demoChart(t, "one")
	values := Values{"extra": map[string]string{"a": "b"}}
	for range 2 {
		m, err := Render(t.Context(), c, RenderOptions{Release: "demo", Namespace: "ns", Values: values})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Objects) != 1 || m.Objects[0].GetName() != "one" || m.Objects[0].GetNamespace() != "ns" {
			t.Errorf("got %v", m.Objects)
		}
	}
	if len(values) != 1 {
		t.Errorf("the values were changed: %v", values)
	}
}

func TestRenderRefusesHooks(t *testing.T) {
	t.Parallel()
	c, err := Load(fstest.MapFS{}, fstest.MapFS{
		"chart/Chart.yaml": chartYAML("demo"),
		"chart/templates/job.yaml": file(`apiVersion: batch/v1
kind: Job
metadata: {name: a, annotations: {helm.sh/hook: pre-install}}
`),
	}, "chart")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Render(t.Context(), c, RenderOptions{Release: "demo", Namespace: "ns"})
	if err == nil || !strings.Contains(err.Error(), "is a Helm hook") {
		t.Error(err)
	}
}

// demoChart makes a chart with one ConfigMap of that name, from a component.
func demoChart(t *testing.T, name string) *Chart {
	t.Helper()
	c, err := Load(fstest.MapFS{
		"web/Chart.yaml":         chartYAML("web"),
		"web/templates/map.yaml": file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"),
	}, fstest.MapFS{"chart/Chart.yaml": chartYAML("demo", "web=file://../../../charts/web")}, "chart")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
