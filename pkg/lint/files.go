package lint

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/lab"
)

// maxFile bounds every file of a lab as it does lab.yaml: an object of
// Kubernetes holds no more.
const maxFile = lab.MaxSize

const (
	chartDir = "chart"
	readme   = "README.md"
)

// walk lists the files of the lab, without those of its chart, and reports
// what is no plain file.
func (r *run) walk() ([]string, error) {
	var present []string
	err := fs.WalkDir(r.files, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			// What a link points to on this machine must not end up in a cluster.
			r.addFile("special-file", Error, p, "is a link or a special file; only plain files are allowed")
		case !strings.HasPrefix(p, chartDir+"/"):
			present = append(present, p)
		}
		return nil
	})
	return present, err
}

// referenced looks at every file that the lab.yaml names, and at those that it
// does not.
func (r *run) referenced(present []string) {
	used := []string{lab.FileName, readme}
	look := func(field, name string, read func(field, name string, data []byte)) {
		first := !slices.Contains(used, name)
		used = append(used, name)
		data, err := r.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.add("file-missing", Error, field, "there is no file %s%s", name, near.Hint(name, present))
		case err != nil:
			r.add("file-missing", Error, field, "can't read %s: %v", name, err)
		case len(data) > maxFile:
			r.add("file-size", Error, field, "%s is larger than %d KiB", name, maxFile>>10)
		case len(bytes.TrimSpace(data)) == 0:
			r.add("file-empty", Error, field, "%s is empty", name)
		case first && read != nil:
			read(field, name, data)
		}
	}
	for i, t := range r.lab.Tasks {
		look(fieldOf("tasks", i)+".brief", t.Brief, nil)
	}
	eachProbe(r.lab, func(field string, p lab.Probe) {
		if p.HTTP != nil && p.HTTP.BodyFile != "" {
			look(field+".http.bodyFile", p.HTTP.BodyFile, nil)
		}
	})
	eachStep(r.lab, func(field string, s lab.Step) {
		if s.Apply != "" {
			look(field+".apply", s.Apply, r.manifests)
		}
	})
	for _, p := range present {
		if !slices.Contains(used, p) {
			r.addFile("file-unused", Note, p, "nothing in %s names this file", lab.FileName)
		}
	}
}

// manifests reads a file with Kubernetes objects as a step would apply it.
func (r *run) manifests(_, name string, data []byte) {
	documents := kyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	decoder := kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, kjson.SerializerOptions{Strict: true})
	objects, line := 0, 1
	for {
		doc, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.addFile("manifest", Error, name, "%v", err)
			return
		}
		at := line + leading(doc)
		line += bytes.Count(doc, []byte("\n")) + 1 // and the separator
		objects++
		object := map[string]any{}
		if err := yaml.UnmarshalStrict(doc, &object); err != nil {
			r.addAt("manifest", Error, name, at, 1, "", oneLine(err))
			continue
		}
		if len(object) == 0 {
			objects-- // only comments
			continue
		}
		if problem := judge(object); problem != "" {
			r.addAt("manifest", Error, name, at, 1, "", problem)
			continue
		}
		// The API server refuses a field that it does not know.
		if _, _, err := decoder.Decode(mustJSON(doc), nil, nil); err != nil && !runtime.IsNotRegisteredError(err) {
			r.addAt("manifest", Error, name, at, 1, "", oneLine(err))
		}
	}
	if objects == 0 {
		r.addFile("manifest", Error, name, "has no object")
	}
}

// mustJSON turns a document that was read before into JSON.
func mustJSON(doc []byte) []byte {
	data, err := yaml.YAMLToJSON(doc)
	if err != nil {
		return nil
	}
	return data
}

// leading counts the lines before a document says anything.
func leading(doc []byte) int {
	n := 0
	for l := range strings.Lines(string(doc)) {
		if s := strings.TrimSpace(l); s != "" && !strings.HasPrefix(s, "#") && s != "---" {
			return n
		}
		n++
	}
	return 0
}

// oneLine gives the text of an error without what libraries say of themselves.
func oneLine(err error) string {
	return strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "error converting YAML to JSON: ")
}

// judge says what is wrong with an object that is to be applied to the
// namespace of a lab.
func judge(object map[string]any) string {
	text := func(m map[string]any, key string) string { s, _ := m[key].(string); return s }
	metadata, _ := object["metadata"].(map[string]any)
	kind := text(object, "kind")
	switch {
	case text(object, "apiVersion") == "" || kind == "":
		return "an object needs apiVersion and kind"
	case strings.HasSuffix(kind, "List") && object["items"] != nil:
		return "write a document for each object instead of a list"
	case slices.Contains(clusterKinds(), kind):
		return kind + " is not for a namespace; a lab stays inside its own"
	case text(metadata, "name") == "":
		return kind + " needs metadata.name, so that applying it twice gives the same"
	case metadata["namespace"] != nil:
		return kind + " " + text(metadata, "name") + " has a namespace; it goes into that of the lab, which is not always the same"
	default:
		return ""
	}
}

// clusterKinds are kinds that belong to no namespace.
func clusterKinds() []string {
	return []string{
		"APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding", "ComponentStatus",
		"CustomResourceDefinition", "FlowSchema", "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
		"MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration",
		"RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"ValidatingWebhookConfiguration", "VolumeAttachment",
	}
}
