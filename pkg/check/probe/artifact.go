package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"labctl.dev/labctl/pkg/lab"
)

// artifact reads a file of a version or of a run: {path, size, isDir, text,
// json, sha256}, or {path, isDir, files} for a directory. Asking for a file
// that is missing is an error 500 in MLflow, so its directory is listed first.
func (r *registry) artifact(ctx context.Context, spec *lab.MLflowArtifact) (map[string]any, error) {
	name := strings.Trim(path.Clean("/"+spec.Path), "/")
	if spec.Model != "" {
		root, err := r.versionRoot(ctx, spec.Model, spec.Version)
		if root == "" || err != nil {
			return nil, err
		}
		return r.file(ctx, name,
			func(dir string) question {
				return artifacts("?" + url.Values{"path": {path.Join(root, dir)}}.Encode())
			},
			func(file string) question {
				return artifacts("/" + (&url.URL{Path: path.Join(root, file)}).EscapedPath())
			})
	}
	run, err := r.newest(ctx, spec.Experiment, spec.Run)
	if run == nil || err != nil {
		return nil, err
	}
	id, _ := run["run_id"].(string)
	return r.file(ctx, name,
		func(dir string) question {
			query := url.Values{"run_id": {id}}
			if dir != "" {
				query.Set("path", dir)
			}
			return question{method: http.MethodGet, path: mlflowAPI + "artifacts/list?" + query.Encode()}
		},
		func(file string) question {
			return question{method: http.MethodGet, path: "/get-artifact?" + url.Values{"run_uuid": {id}, "path": {file}}.Encode()}
		})
}

func artifacts(rest string) question {
	return question{method: http.MethodGet, path: "/api/2.0/mlflow-artifacts/artifacts" + rest}
}

// versionRoot is where the artifact server keeps the files of a version. They
// do not lie below its run.
func (r *registry) versionRoot(ctx context.Context, model, version string) (string, error) {
	doc, err := r.get(ctx, versionQuery("get-download-uri", model, version))
	if doc == nil || err != nil {
		return "", err
	}
	uri, _ := doc["artifact_uri"].(string)
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "mlflow-artifacts" {
		r.nonsense("the files of the version are at " + short(uri) + ", which its server does not hand out")
		return "", nil //nolint:nilerr // the code says why
	}
	return strings.Trim(u.Path, "/"), nil
}

func (r *registry) file(ctx context.Context, name string, list, read func(string) question) (map[string]any, error) {
	parent := path.Dir(name)
	if parent == "." || parent == "/" {
		parent = ""
	}
	doc, err := r.ask(ctx, list(parent))
	if doc == nil || err != nil {
		return nil, err
	}
	var entry map[string]any
	for _, f := range items(doc["files"]) {
		// One API names files from the root, the other from the directory.
		if p, _ := f["path"].(string); path.Base(p) == path.Base(name) {
			entry = f
		}
	}
	if entry == nil {
		return nil, nil //nolint:nilnil // no such file
	}
	if dir, _ := entry["is_dir"].(bool); dir {
		return r.directory(ctx, name, list)
	}
	a, err := r.raw(ctx, read(name))
	if err != nil || a.status == 0 {
		return nil, err
	}
	if a.status != http.StatusOK {
		r.code, r.detail = CodeUnreadable, unreadable(a)
		return nil, nil //nolint:nilnil // the code says why
	}
	result := map[string]any{"path": name, "isDir": false, "size": entry["file_size"], "text": nil, "json": a.json(), "sha256": nil}
	if utf8.Valid(a.body) {
		result["text"] = string(a.body)
	}
	if a.cut == "" {
		sum := sha256.Sum256(a.body)
		result["sha256"] = hex.EncodeToString(sum[:])
	}
	r.detail = a.cut
	return result, nil
}

func (r *registry) directory(ctx context.Context, name string, list func(string) question) (map[string]any, error) {
	doc, err := r.ask(ctx, list(name))
	if doc == nil || err != nil {
		return nil, err
	}
	files := []any{}
	for _, f := range items(doc["files"]) {
		p, _ := f["path"].(string)
		files = append(files, path.Base(p))
	}
	return map[string]any{"path": name, "isDir": true, "files": files}, nil
}
