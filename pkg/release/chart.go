package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// digestAnnotation keeps the digest in the stored release. It is an annotation
// of the chart's metadata, so `helm get metadata` shows it too.
const digestAnnotation = "labctl.dev/chart-digest"

// localRepository is where a component chart lies, as written in a Chart.yaml:
// beside the chart, or in the charts directory of the project.
var localRepository = regexp.MustCompile(`^file://(?:\.\./)+(?:charts/)?([a-z0-9][-a-z0-9]*)/?$`)

// Chart is a lab's chart with its component charts. It holds only files: Helm
// changes a loaded chart in place, so every use loads them anew.
type Chart struct {
	Name    string
	Version string
	// Digest is "sha256:" and a hash over all files of the chart and its
	// components. It tells whether a release was made from this chart.
	Digest string

	root *source
}

// source is one chart's files and the charts it depends on.
type source struct {
	files        []*loader.BufferedFile
	dependencies []*source
}

// Load reads the chart in directory chartPath of lab. Its dependencies, and
// theirs, are taken from charts, which has one directory per component; the
// loader of Helm would expect them packed inside the chart.
func Load(charts, lab fs.FS, chartPath string) (*Chart, error) {
	hash := sha256.New()
	l := &chartLoader{charts: charts, write: func(name string, data []byte) {
		fmt.Fprintf(hash, "%s\x00%d\x00", name, len(data))
		hash.Write(data)
	}}
	root, meta, err := l.load(lab, chartPath, nil)
	if err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	return &Chart{
		Name: meta.Name, Version: meta.Version, root: root,
		Digest: "sha256:" + hex.EncodeToString(hash.Sum(nil)),
	}, nil
}

type chartLoader struct {
	charts fs.FS
	write  func(name string, data []byte) // to the digest
}

// load reads one chart and what it depends on. The way to it is kept in
// parents, so that a circle is an error and not a hang.
func (l *chartLoader) load(fsys fs.FS, dir string, parents []string) (*source, *helmchart.Metadata, error) {
	files, err := readFiles(fsys, dir)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		l.write(strings.Join(parents, "/")+"/"+f.Name, f.Data)
	}
	ch, err := loader.LoadFiles(files)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err := ch.Validate(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	s := &source{files: files}
	parents = append(slices.Clone(parents), ch.Name())
	var loaded []string
	for _, d := range ch.Metadata.Dependencies {
		if slices.Contains(loaded, d.Name) {
			continue // the same chart once more under an alias
		}
		loaded = append(loaded, d.Name)
		child, err := l.dependency(d, parents)
		if err != nil {
			return nil, nil, fmt.Errorf("%s/Chart.yaml: dependency %s: %w", dir, d.Name, err)
		}
		s.dependencies = append(s.dependencies, child)
	}
	return s, ch.Metadata, nil
}

func (l *chartLoader) dependency(d *helmchart.Dependency, parents []string) (*source, error) {
	m := localRepository.FindStringSubmatch(d.Repository)
	if m == nil {
		return nil, fmt.Errorf("repository %q is not a local one such as file://../../../charts/%s", d.Repository, d.Name)
	}
	dir := m[1]
	if dir != d.Name {
		return nil, fmt.Errorf("repository %q is that of another chart", d.Repository)
	}
	if slices.Contains(parents, dir) {
		return nil, fmt.Errorf("the chart depends on itself: %s", strings.Join(append(slices.Clone(parents), dir), " -> "))
	}
	s, meta, err := l.load(l.charts, dir, parents)
	if err != nil {
		return nil, err
	}
	if !chartutil.IsCompatibleRange(d.Version, meta.Version) {
		return nil, fmt.Errorf("version %q is wanted, the chart is %s", d.Version, meta.Version)
	}
	return s, nil
}

// maxChart bounds all files of a chart together; Helm's own bound for one file
// holds as well. A release is kept in a Secret, which is smaller still.
const maxChart = 20 << 20

// readFiles reads a chart's own files. It leaves out charts/ and Chart.lock,
// which `helm dependency build` writes, and hidden files. What is no ordinary
// file is an error: reading a pipe would never end.
func readFiles(fsys fs.FS, dir string) ([]*loader.BufferedFile, error) {
	var files []*loader.BufferedFile
	total := 0
	err := fs.WalkDir(fsys, dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(p, dir), "/")
		switch {
		case d.IsDir() && (name == "charts" || strings.HasPrefix(d.Name(), ".") && name != ""):
			return fs.SkipDir
		case d.IsDir(), name == "Chart.lock", strings.HasPrefix(path.Base(name), "."):
			return nil
		}
		data, err := readFile(fsys, p)
		if err != nil {
			return err
		}
		if total += len(data); total > maxChart {
			return fmt.Errorf("%s: the files of the chart are larger than %d MiB in all", dir, maxChart>>20)
		}
		files = append(files, &loader.BufferedFile{Name: name, Data: data})
		return nil
	})
	return files, err
}

func readFile(fsys fs.FS, p string) ([]byte, error) {
	// Links are followed here as everywhere, but not to a device or a pipe.
	info, err := fs.Stat(fsys, p)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no ordinary file", p)
	}
	f, err := fsys.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, loader.MaxDecompressedFileSize+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > loader.MaxDecompressedFileSize {
		return nil, fmt.Errorf("%s is larger than %d MiB", p, loader.MaxDecompressedFileSize>>20)
	}
	return data, nil
}

// fresh gives a Helm chart that the caller may change.
func (c *Chart) fresh() (*helmchart.Chart, error) {
	ch, err := c.root.load()
	if err != nil {
		return nil, fmt.Errorf("load chart %s: %w", c.Name, err)
	}
	if ch.Metadata.Annotations == nil {
		ch.Metadata.Annotations = map[string]string{}
	}
	ch.Metadata.Annotations[digestAnnotation] = c.Digest
	return ch, nil
}

func (s *source) load() (*helmchart.Chart, error) {
	ch, err := loader.LoadFiles(s.files)
	if err != nil {
		return nil, err
	}
	for _, d := range s.dependencies {
		child, err := d.load()
		if err != nil {
			return nil, err
		}
		ch.AddDependency(child)
	}
	return ch, nil
}
