package release_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/downloader"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/charts"
	"labctl.dev/labctl/labs"
	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/release"
)

// checkout writes charts and labs to disk as they lie in the project.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, fsys := range map[string]fs.FS{"charts": charts.FS, "labs": labs.FS} {
		if err := os.CopyFS(filepath.Join(dir, name), fsys); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// build does what `helm dependency build` does.
func build(t *testing.T, dir string) {
	t.Helper()
	m := &downloader.Manager{
		Out: io.Discard, ChartPath: dir, SkipUpdate: true, Getters: getter.Providers{},
		RepositoryConfig: filepath.Join(t.TempDir(), "repositories.yaml"), RepositoryCache: t.TempDir(),
	}
	if err := m.Build(); err != nil {
		t.Fatalf("helm dependency build %s: %v", filepath.Base(dir), err)
	}
}

// TestLint does what `helm lint` does on every chart.
func TestLint(t *testing.T) {
	t.Parallel()
	dir := checkout(t)
	paths, err := filepath.Glob(filepath.Join(dir, "charts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(dir, "labs", "*", "chart"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(paths, more...) {
		build(t, p)
		linter := lint.AllWithKubeVersion(p, nil, "lab-lint", &chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"})
		for _, m := range linter.Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", p, m)
			}
		}
	}
}

// TestPlainHelm proves that a lab installs with Helm alone: its own dependency
// build and template give the objects that this package gives.
func TestPlainHelm(t *testing.T) {
	t.Parallel()
	dir := checkout(t)
	entries, err := catalog.New(labs.FS).List()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Lab.Metadata.Name
		chartDir := filepath.Join(dir, "labs", name, "chart")
		build(t, chartDir)
		ch, err := loader.LoadDir(chartDir)
		if err != nil {
			t.Fatal(err)
		}
		if err := action.CheckDependencies(ch, ch.Metadata.Dependencies); err != nil {
			t.Error(err)
		}
		install := action.NewInstall(&action.Configuration{Log: t.Logf})
		install.ClientOnly, install.DryRun = true, true
		install.ReleaseName, install.Namespace = name, "lab-"+name
		install.KubeVersion = &chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}
		values, err := yaml.Marshal(labValues(e.Lab))
		if err != nil {
			t.Fatal(err)
		}
		read, err := chartutil.ReadValues(values)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := install.Run(ch, read)
		if err != nil {
			t.Fatal(err)
		}
		c, err := release.Load(charts.FS, e.FS, "chart")
		if err != nil {
			t.Fatal(err)
		}
		ours, err := release.Render(t.Context(), c, release.RenderOptions{
			Release: name, Namespace: "lab-" + name, KubeVersion: "v1.37.0", Values: labValues(e.Lab),
		})
		if err != nil {
			t.Fatal(err)
		}
		want, err := release.Parse(theirs.Manifest, "lab-"+name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, ours.Objects); diff != "" {
			t.Errorf("plain Helm (-) and labctl (+) differ:\n%s", diff)
		}
		if diff := cmp.Diff(theirs.Info.Notes, ours.Notes); diff != "" {
			t.Error(diff)
		}
	}
}
