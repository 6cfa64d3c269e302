package node

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"

	"labctl.dev/labctl/images"
	"labctl.dev/labctl/pkg/cluster"
	"labctl.dev/labctl/pkg/image/spec"
)

// definition gives the files of the project's own node.
func definition(t *testing.T) (spec.Definition, map[string]spec.File) {
	t.Helper()
	set, err := spec.Load(images.FS)
	if err != nil {
		t.Fatal(err)
	}
	d, err := set.Get("node")
	if err != nil {
		t.Fatal(err)
	}
	list, err := set.Files("node")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]spec.File{}
	for _, f := range list {
		files[f.Path] = f
	}
	return d, files
}

// TestDefinition holds what stands in two places together: nobody changes one
// version and forgets the other.
func TestDefinition(t *testing.T) {
	t.Parallel()
	def, files := definition(t)
	r, err := parseRecipe(files)
	if err != nil {
		t.Fatal(err)
	}

	if want := strings.TrimPrefix(def.Public, "docker.io/"); want != defaults.Image {
		t.Errorf("the public image is %s, kind's own is %s", want, defaults.Image)
	}
	want := map[string]string{cluster.LabelContainerd: "patched", cluster.LabelCNI: "builtin"}
	if d := cmp.Diff(want, r.Labels); d != "" {
		t.Errorf("labels (-pkg/cluster +node.yaml):\n%s", d)
	}

	mod, sum := readProject(t, "go.mod"), readProject(t, "go.sum")
	if !requires(mod, r.Kind.Module, r.Kind.Version) {
		t.Errorf("go.mod does not require %s %s", r.Kind.Module, r.Kind.Version)
	}
	if line := r.Kind.Module + " " + r.Kind.Version + " " + r.Kind.Sum + "\n"; !strings.Contains(sum, line) {
		t.Errorf("go.sum does not have %q", line)
	}

	component := func(name string) string { return string(files["components/"+name+"/go.mod.txt"].Content) }
	if !requires(component("kubernetes"), "k8s.io/kubernetes", r.Kubernetes) {
		t.Errorf("components/kubernetes does not require %s", r.Kubernetes)
	}
	for _, c := range r.Components {
		for k, v := range c.Set {
			if strings.HasSuffix(k, ".gitVersion") && v != r.Kubernetes {
				t.Errorf("%s is %s, not %s", k, v, r.Kubernetes)
			}
		}
	}
	for _, i := range r.Images {
		for _, n := range i.Names {
			name, tag, _ := strings.Cut(n, ":")
			if strings.Contains(name, "/kube-") && tag != r.Kubernetes {
				t.Errorf("image %s is not %s", n, r.Kubernetes)
			}
			if strings.HasSuffix(name, "/coredns") && !requires(component("coredns"), "github.com/coredns/coredns", tag) {
				t.Errorf("components/coredns is not %s", tag)
			}
			if strings.HasSuffix(name, "/etcd") && !requires(component("etcd"), "go.etcd.io/etcd/server/v3", "v"+strings.TrimSuffix(tag, "-0")) {
				t.Errorf("components/etcd is not %s", tag)
			}
		}
	}
}

// TestImagesOfManifests: what the manifests run must be in the node.
func TestImagesOfManifests(t *testing.T) {
	t.Parallel()
	_, files := definition(t)
	r, err := parseRecipe(files)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, i := range r.Images {
		for _, n := range i.Names {
			have[n] = true
		}
	}
	manifest := string(files["files/kind/manifests/default-storage.yaml"].Content)
	used := regexp.MustCompile(`docker\.io/\S+`).FindAllString(manifest, -1)
	if len(used) == 0 {
		t.Fatal("the manifest names no image")
	}
	for _, u := range used {
		if !have[u] {
			t.Errorf("the manifest uses %s, which is not in the node", u)
		}
	}
}

func TestParseRecipe(t *testing.T) {
	t.Parallel()
	const good = `kubernetes: v1.2.3
kind: {module: example.org/kind, version: v0.1.0, sum: "h1:x"}
debian: {suite: stable, packages: [systemd]}
components: [{name: etcd, programs: {etcd: example.org/etcd}}]
install: {etcd: /usr/bin/etcd}
images: [{names: [etcd:1], program: etcd}, {names: [sh:1], rootfs: build/sh.sh}]
`
	tests := []struct {
		name, old, new, want string
	}{
		{name: "good"},
		{name: "unknown field", old: "debian:", new: "debain:", want: "field debain not found"},
		{name: "version", old: "v1.2.3", new: "latest", want: `kubernetes: "latest" is not a version`},
		{name: "no sum", old: "h1:x", new: "", want: "kind: module, version and sum"},
		{name: "no packages", old: "[systemd]", new: "[]", want: "debian: suite and packages"},
		{name: "no module", old: "name: etcd", new: "name: gone", want: "there is no components/gone/go.mod.txt"},
		{name: "flag as package", old: "example.org/etcd", new: "-exec=rm", want: `program "etcd" is not a name`},
		{name: "relative path", old: "/usr/bin/etcd", new: "usr/bin/etcd", want: "must go to an absolute path"},
		{name: "install of nothing", old: "install: {etcd", new: "install: {etch", want: "install: etch"},
		{name: "image of nothing", old: "program: etcd}", new: "program: etch}", want: `there is no program "etch"`},
		{name: "no script", old: "build/sh.sh", new: "build/bash.sh", want: "there is no build/bash.sh"},
		{name: "empty image", old: ", program: etcd}", new: "}", want: "names and a program or script"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := good
			if tt.old != "" {
				text = strings.Replace(good, tt.old, tt.new, 1)
			}
			_, err := parseRecipe(map[string]spec.File{
				recipeFile:                   {Content: []byte(text)},
				"components/etcd/go.mod.txt": {},
				"build/sh.sh":                {},
			})
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	if _, err := parseRecipe(nil); err == nil {
		t.Error("no error without a recipe")
	}
}

func TestLinkerFlags(t *testing.T) {
	t.Parallel()
	c := component{CGO: true, Set: map[string]string{"b.v": "2", "a.v": "1"}}
	const want = "-s -w -X a.v=1 -X b.v=2 -linkmode=external -extldflags=-static"
	if got := c.linkerFlags(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// requires says whether a go.mod asks for a version of a module.
func requires(mod, module, version string) bool {
	for line := range strings.Lines(mod) {
		f := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(f) >= 2 && f[0] == module && f[1] == version {
			return true
		}
	}
	return false
}

func readProject(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile("../../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
