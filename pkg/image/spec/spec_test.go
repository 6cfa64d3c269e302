package spec_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/image/spec"
)

const digest = "docker.io/library/debian:bookworm-slim@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716"

// definitions makes a file system with one root file system, one image on it
// and one directory that is only included.
func definitions(change map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for p, content := range map[string]string{
		"debian/image.yaml":      "name: debian\ndescription: root\nbuild: rootfs\npublic: " + digest + "\npackages: [ca-certificates]\n",
		"app/image.yaml":         "name: app\ndescription: an app\nbuild: dockerfile\nbases: {BASE: debian}\ninclude: [../shared/build]\ngo:\n  - {module: gomod, package: ./cmd, output: app}\n",
		"app/Dockerfile":         "ARG BASE\nFROM ${BASE}\n",
		"app/gomod/go.mod.txt":   "module app\n",
		"app/run.sh":             "#!/bin/sh\necho hi\n",
		"shared/build/pip.sh":    "#!/bin/sh\n",
		"shared/build/notes.txt": "words\n",
	} {
		fsys[p] = &fstest.MapFile{Data: []byte(content)}
	}
	for p, content := range change {
		if content == "" {
			delete(fsys, p)
			continue
		}
		fsys[p] = &fstest.MapFile{Data: []byte(content)}
	}
	return fsys
}

func load(t *testing.T, fsys fstest.MapFS) *spec.Set {
	t.Helper()
	s, err := spec.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoad(t *testing.T) {
	t.Parallel()
	s := load(t, definitions(nil))
	if diff := cmp.Diff([]string{"debian", "app"}, s.Names()); diff != "" {
		t.Errorf("bases come first (-want +got):\n%s", diff)
	}
	files, err := s.Files("app")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		mark := ""
		if f.Exec {
			mark = "*"
		}
		got = append(got, f.Path+mark)
	}
	want := []string{"Dockerfile", "build/notes.txt", "build/pip.sh*", "gomod/go.mod.txt", "image.yaml", "run.sh*"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if _, err := s.Get("ap"); !errors.Is(err, spec.ErrUnknown) {
		t.Errorf("Get of an unknown image: %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	app := "name: app\ndescription: an app\nbuild: dockerfile\n"
	tests := map[string]struct {
		change map[string]string
		want   string
	}{
		"unknown field":        {map[string]string{"app/image.yaml": app + "bild: x\n"}, "app/image.yaml: line 4: field bild not found"},
		"not YAML":             {map[string]string{"app/image.yaml": "name: [\n"}, "app/image.yaml: yaml:"},
		"empty":                {map[string]string{"app/image.yaml": "# nothing\n"}, "app/image.yaml: is empty"},
		"two documents":        {map[string]string{"app/image.yaml": app + "---\nname: b\n"}, "more than one YAML document"},
		"other name":           {map[string]string{"app/image.yaml": strings.Replace(app, "name: app", "name: apps", 1)}, `name: "apps" must be the name of its directory, "app"`},
		"bad name":             {map[string]string{"app/image.yaml": strings.Replace(app, "name: app", "name: ../app", 1)}, `name: "../app" is not a name`},
		"no description":       {map[string]string{"app/image.yaml": "name: app\nbuild: dockerfile\n"}, "description: is missing"},
		"no build":             {map[string]string{"app/image.yaml": "name: app\ndescription: d\n"}, "build: is missing"},
		"strange build":        {map[string]string{"app/image.yaml": "name: app\ndescription: d\nbuild: make\n"}, `build: "make" is not one of`},
		"no Dockerfile":        {map[string]string{"app/Dockerfile": ""}, "build: there is no app/Dockerfile"},
		"no digest":            {map[string]string{"debian/image.yaml": "name: debian\ndescription: d\nbuild: rootfs\npublic: debian:12\n"}, "must be an image with its digest"},
		"packages":             {map[string]string{"app/image.yaml": app + "packages: [curl]\n"}, "packages: are only for build: rootfs"},
		"hostile package":      {map[string]string{"debian/image.yaml": "name: debian\ndescription: d\nbuild: rootfs\npublic: " + digest + "\npackages: ['x; rm -rf /']\n"}, "packages[0]"},
		"include leads out":    {map[string]string{"app/image.yaml": app + "include: [../../etc]\n"}, `include[0]: "../../etc" leads out of the definitions`},
		"include is missing":   {map[string]string{"app/image.yaml": app + "include: [../none]\n"}, "include[0]: there is no directory none"},
		"unknown base":         {map[string]string{"app/image.yaml": app + "bases: {BASE: alpine}\n"}, `app/image.yaml: bases.BASE: there is no image "alpine"`},
		"strange argument":     {map[string]string{"app/image.yaml": app + "bases: {'--x': debian}\n"}, "bases.--x: is not the name of a build argument"},
		"own base":             {map[string]string{"app/image.yaml": app + "bases: {BASE: app}\n"}, "an image can't be its own base"},
		"no module":            {map[string]string{"app/gomod/go.mod.txt": ""}, "go[0].module: there is no app/gomod/go.mod.txt"},
		"package is an option": {map[string]string{"app/image.yaml": app + "go: [{module: gomod, package: -toolexec=x, output: a}]\n"}, "go[0].package"},
		"output leads out":     {map[string]string{"app/image.yaml": app + "go: [{module: gomod, package: ., output: ../a}]\n"}, "go[0].output"},
		"cycle": {map[string]string{
			"app/image.yaml": app + "bases: {BASE: b}\n",
			"b/image.yaml":   "name: b\ndescription: d\nbuild: dockerfile\nbases: {BASE: app}\n",
			"b/Dockerfile":   "FROM scratch\n",
		}, "images are bases of each other: app -> b -> app"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := spec.Load(definitions(tt.change))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestIncludeCollision(t *testing.T) {
	t.Parallel()
	s := load(t, definitions(map[string]string{"app/build/pip.sh": "x"}))
	if _, err := s.Files("app"); err == nil || !strings.Contains(err.Error(), "build/pip.sh comes from two directories") {
		t.Errorf("got %v", err)
	}
}

func TestTag(t *testing.T) {
	t.Parallel()
	tag := func(change map[string]string, way spec.Way, platform string) string {
		got, err := load(t, definitions(change)).Tag("app", way, platform)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 12 {
			t.Fatalf("tag %q has not 12 digits", got)
		}
		return got
	}
	const amd64 = "linux/amd64"
	ref := tag(nil, spec.Home, amd64)
	same := map[string]map[string]string{
		"again":                 {},
		"Windows line ends":     {"app/run.sh": "#!/bin/sh\r\necho hi\r\n"},
		"readme":                {"app/README.md": "read"},
		"Python's cache":        {"shared/build/__pycache__/x.pyc": "x"},
		"tests":                 {"shared/build/tests/test_x.py": "x"},
		"an image beside it":    {"other/image.yaml": "name: other\ndescription: d\nbuild: dockerfile\n", "other/Dockerfile": "FROM scratch\n"},
		"a directory beside it": {"shared/other/x": "x"},
	}
	for name, change := range same {
		if got := tag(change, spec.Home, amd64); got != ref {
			t.Errorf("%s: tag changed", name)
		}
	}
	other := map[string]map[string]string{
		"own file":      {"app/run.sh": "#!/bin/sh\necho ho\n"},
		"new file":      {"app/new": "x"},
		"renamed file":  {"app/run.sh": "", "app/run2.sh": "#!/bin/sh\necho hi\n"},
		"included file": {"shared/build/pip.sh": "#!/bin/bash\n"},
		"base":          {"debian/image.yaml": "name: debian\ndescription: root\nbuild: rootfs\npublic: " + digest + "\n"},
	}
	for name, change := range other {
		if got := tag(change, spec.Home, amd64); got == ref {
			t.Errorf("%s: tag did not change", name)
		}
	}
	if tag(nil, spec.Public, amd64) == ref {
		t.Error("the way does not count")
	}
	if tag(nil, spec.Home, "linux/arm64") == ref {
		t.Error("the platform does not count")
	}
	// A binary file keeps its bytes.
	if tag(map[string]string{"app/data": "a\x00\r\n"}, spec.Home, amd64) == tag(map[string]string{"app/data": "a\x00\n"}, spec.Home, amd64) {
		t.Error("bytes of a binary file were changed")
	}
}
