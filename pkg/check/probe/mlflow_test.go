package probe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/lab"
)

// mlflowServer answers as MLflow 3 does: shapes and codes are taken from a real
// one.
func mlflowServer(t *testing.T, runs int) http.HandlerFunc {
	t.Helper()
	fail := func(w http.ResponseWriter, status int, code, message string) {
		reply(w, status, map[string]any{"error_code": code, "message": message})
	}
	version := func(n string) map[string]any {
		return map[string]any{
			"name": "flight-delay", "version": n, "run_id": "r" + n, "status": "READY", "current_stage": "None", "source": "models:/m-" + n,
			"tags": []any{map[string]any{"key": "git_sha", "value": "abc"}},
		}
	}
	run := func(i int) map[string]any {
		return map[string]any{
			"info": map[string]any{"run_id": fmt.Sprintf("r%d", i), "run_name": fmt.Sprintf("run-%d", i), "status": "FINISHED", "start_time": 1385370000000},
			"data": map[string]any{
				"metrics": []any{map[string]any{"key": "auc", "value": 0.627, "step": 0}}, "params": []any{map[string]any{"key": "C", "value": "1.0"}},
			},
			"inputs": map[string]any{"dataset_inputs": []any{map[string]any{
				"dataset": map[string]any{"name": "flights", "digest": "12345678", "profile": `{"num_rows": 20000}`, "schema": "not JSON"},
				"tags":    []any{map[string]any{"key": "mlflow.data.context", "value": "training"}},
			}}},
			"outputs": map[string]any{"model_outputs": []any{map[string]any{"model_id": "m-1", "step": 0}}},
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		path := strings.TrimPrefix(r.URL.Path, "/api/2.0/mlflow/")
		switch {
		case r.Host != "localhost:5000":
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("Invalid Host header - possible DNS rebinding attack detected"))
		case strings.HasPrefix(path, "registered-models/") && q.Get("name") != "flight-delay":
			fail(w, 404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name="+q.Get("name")+" not found")
		case path == "registered-models/alias" && q.Get("alias") == "champion":
			reply(w, 200, map[string]any{"model_version": version("2")})
		case path == "registered-models/alias":
			fail(w, 400, "INVALID_PARAMETER_VALUE", "Registered model alias nope not found.")
		case path == "registered-models/get":
			reply(w, 200, map[string]any{"registered_model": map[string]any{"name": "flight-delay", "aliases": []any{
				map[string]any{"alias": "champion", "version": "2"}, map[string]any{"alias": "prod", "version": "2"},
			}}})
		case path == "model-versions/get" && q.Get("version") == "1":
			reply(w, 200, map[string]any{"model_version": version("1")})
		case path == "model-versions/get", path == "model-versions/get-download-uri" && q.Get("version") == "9":
			fail(w, 404, "RESOURCE_DOES_NOT_EXIST", "Model Version not found")
		case path == "model-versions/search" && q.Get("filter") == "name = 'flight-delay'":
			if q.Get("page_token") == "" {
				reply(w, 200, map[string]any{"model_versions": []any{version("2")}, "next_page_token": "more"})
				return
			}
			reply(w, 200, map[string]any{"model_versions": []any{version("1")}})
		case path == "model-versions/get-download-uri" && q.Get("version") == "8":
			reply(w, 200, map[string]any{"artifact_uri": "s3://elsewhere/x"})
		case path == "model-versions/get-download-uri":
			reply(w, 200, map[string]any{"artifact_uri": "mlflow-artifacts:/1/models/m-1/artifacts"})
		case path == "experiments/get-by-name" && q.Get("experiment_name") == "flight-delay":
			reply(w, 200, map[string]any{"experiment": map[string]any{"experiment_id": "1"}})
		case path == "experiments/get-by-name":
			fail(w, 404, "RESOURCE_DOES_NOT_EXIST", "Could not find experiment")
		case path == "runs/search":
			var body struct {
				Experiments []string `json:"experiment_ids"`
				Filter      string   `json:"filter"`
				Order       []string `json:"order_by"`
				Max         int      `json:"max_results"`
				Token       string   `json:"page_token"`
			}
			if json.NewDecoder(r.Body).Decode(&body) != nil || body.Max == 0 {
				fail(w, 400, "BAD_REQUEST", "no body")
				return
			}
			if strings.Contains(body.Filter, "run_name") {
				if body.Filter != "attributes.run_name = 'winter-lr'" || body.Order[0] != "attributes.start_time DESC" || body.Max != 1 {
					reply(w, 200, map[string]any{})
					return
				}
				reply(w, 200, map[string]any{"runs": []any{run(7)}})
				return
			}
			w.Header().Set("X-Filter", body.Filter)
			from := 0
			_, _ = fmt.Sscan(body.Token, &from)
			list := []any{}
			for i := from; i < min(runs, from+body.Max); i++ {
				list = append(list, run(i))
			}
			doc := map[string]any{"runs": list}
			if from+body.Max < runs {
				doc["next_page_token"] = fmt.Sprint(from + body.Max)
			}
			reply(w, 200, doc)
		case path == "artifacts/list" && q.Get("run_id") == "r7" && q.Get("path") == "eval":
			reply(w, 200, map[string]any{"root_uri": "x", "files": []any{map[string]any{"path": "eval/report.json", "is_dir": false, "file_size": 12}}})
		case path == "artifacts/list":
			reply(w, 200, map[string]any{"root_uri": "x", "files": []any{map[string]any{"path": "eval", "is_dir": true}}})
		case r.URL.Path == "/get-artifact" && q.Get("run_uuid") == "r7" && q.Get("path") == "eval/report.json":
			_, _ = w.Write([]byte(`{"auc": 0.6}`))
		case r.URL.Path == "/api/2.0/mlflow-artifacts/artifacts" && q.Get("path") == "1/models/m-1/artifacts":
			reply(w, 200, map[string]any{"files": []any{map[string]any{"path": "MLmodel", "is_dir": false, "file_size": 9}}})
		case r.URL.Path == "/api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts/MLmodel":
			_, _ = w.Write([]byte("run_id: r1"))
		default:
			fail(w, 500, "INTERNAL_ERROR", "unexpected "+r.URL.String())
		}
	}
}

func ask(t *testing.T, p *Prober, spec lab.MLflowProbe) map[string]any {
	t.Helper()
	return see(t, p, lab.Probe{MLflow: &spec}).Vars
}

func TestMLflow(t *testing.T) {
	t.Parallel()
	a, p := newAPI(t)
	component(a, "mlflow", time.Now().Add(-time.Hour))
	a.proxy["mlflow:5000"] = mlflowServer(t, 120)
	none := func(status int, code string) map[string]any {
		return map[string]any{"result": nil, "status": int64(status), "errorCode": code}
	}
	for name, tt := range map[string]struct {
		spec lab.MLflowProbe
		want map[string]any
	}{
		"no alias":           {lab.MLflowProbe{Alias: &lab.MLflowAlias{Model: "flight-delay", Name: "nope"}}, none(400, "INVALID_PARAMETER_VALUE")},
		"no model":           {lab.MLflowProbe{Versions: &lab.MLflowVersions{Model: "other"}}, none(404, "RESOURCE_DOES_NOT_EXIST")},
		"no version":         {lab.MLflowProbe{Version: &lab.MLflowVersion{Model: "flight-delay", Version: "9"}}, none(404, "RESOURCE_DOES_NOT_EXIST")},
		"no experiment":      {lab.MLflowProbe{Run: &lab.MLflowRun{Experiment: "other", Name: "x"}}, none(404, "RESOURCE_DOES_NOT_EXIST")},
		"no experiment, all": {lab.MLflowProbe{Runs: &lab.MLflowRuns{Experiment: "other"}}, none(404, "RESOURCE_DOES_NOT_EXIST")},
		"no run":             {lab.MLflowProbe{Run: &lab.MLflowRun{Experiment: "flight-delay", Name: "it's"}}, none(200, "")},
		"no file":            {lab.MLflowProbe{Artifact: &lab.MLflowArtifact{Model: "flight-delay", Version: "1", Path: "model.pkl"}}, none(200, "")},
		"no file's version":  {lab.MLflowProbe{Artifact: &lab.MLflowArtifact{Model: "flight-delay", Version: "9", Path: "MLmodel"}}, none(404, "RESOURCE_DOES_NOT_EXIST")},
		"file elsewhere":     {lab.MLflowProbe{Artifact: &lab.MLflowArtifact{Model: "flight-delay", Version: "8", Path: "MLmodel"}}, none(200, CodeUnreadable)},
		"file of a version": {lab.MLflowProbe{Artifact: &lab.MLflowArtifact{Model: "flight-delay", Version: "1", Path: "MLmodel"}}, map[string]any{
			"result": map[string]any{
				"path": "MLmodel", "isDir": false, "size": 9.0, "text": "run_id: r1", "json": nil,
				"sha256": "f3b27c3bd8a2a9cd8d0b6eb42bd0f0d2ab3a2c9c4b3f1f3a1e8c2f8b6a6bd4a1",
			}, "status": int64(200), "errorCode": "",
		}},
		"directory of a run": {lab.MLflowProbe{Artifact: &lab.MLflowArtifact{Experiment: "flight-delay", Run: "winter-lr", Path: "eval/"}}, map[string]any{
			"result": map[string]any{"path": "eval", "isDir": true, "files": []any{"report.json"}}, "status": int64(200), "errorCode": "",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, p, tt.spec)
			if file, ok := got["result"].(map[string]any); ok && file["sha256"] != nil {
				if len(file["sha256"].(string)) != 64 {
					t.Error(file["sha256"])
				}
				file["sha256"] = tt.want["result"].(map[string]any)["sha256"]
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	version := func(n string, aliases ...any) map[string]any {
		if aliases == nil {
			aliases = []any{}
		}
		return map[string]any{
			"name": "flight-delay", "version": n, "run_id": "r" + n, "status": "READY", "current_stage": "None", "source": "models:/m-" + n,
			"tags": map[string]any{"git_sha": "abc"}, "aliases": aliases,
		}
	}
	two := version("2", "champion", "prod")
	if diff := cmp.Diff(two, ask(t, p, lab.MLflowProbe{Alias: &lab.MLflowAlias{Model: "flight-delay", Name: "champion"}})["result"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(version("1"), ask(t, p, lab.MLflowProbe{Version: &lab.MLflowVersion{Model: "flight-delay", Version: "1"}})["result"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{two, version("1")}, ask(t, p, lab.MLflowProbe{Versions: &lab.MLflowVersions{Model: "flight-delay"}})["result"]); diff != "" {
		t.Error(diff)
	}
	run := map[string]any{
		"run_id": "r7", "run_name": "run-7", "status": "FINISHED", "start_time": 1385370000000.0,
		"params": map[string]any{"C": "1.0"}, "metrics": map[string]any{"auc": 0.627}, "tags": map[string]any{}, "models": []any{"m-1"},
		"datasets": []any{map[string]any{
			"name": "flights", "digest": "12345678", "profile": map[string]any{"num_rows": 20000.0}, "schema": "not JSON",
			"tags": map[string]any{"mlflow.data.context": "training"},
		}},
	}
	if diff := cmp.Diff(run, ask(t, p, lab.MLflowProbe{Run: &lab.MLflowRun{Experiment: "flight-delay", Name: "winter-lr"}})["result"]); diff != "" {
		t.Error(diff)
	}
	all := ask(t, p, lab.MLflowProbe{Runs: &lab.MLflowRuns{Experiment: "flight-delay", Filter: "metrics.auc > 0.5", OrderBy: "metrics.auc DESC"}})
	if n := len(all["result"].([]any)); n != 120 {
		t.Errorf("%d runs", n)
	}
	file := ask(t, p, lab.MLflowProbe{Artifact: &lab.MLflowArtifact{Experiment: "flight-delay", Run: "winter-lr", Path: "eval/report.json"}})["result"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"auc": 0.6}, file["json"]); diff != "" {
		t.Error(diff)
	}
}

func TestMLflowFilters(t *testing.T) {
	t.Parallel()
	for want, spec := range map[string]lab.MLflowRuns{
		"attributes.status = 'FINISHED'":             {},
		"a.b = 'c' and attributes.status = 'FAILED'": {Filter: "a.b = 'c'", Status: "FAILED"},
		"": {Status: "ANY"},
		"metrics.auc > 1 and attributes.status = 'KILLED'": {Filter: "metrics.auc > 1", Status: "KILLED"},
	} {
		a, p := newAPI(t)
		var filter any
		a.proxy["mlflow:5000"] = func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "runs/search") {
				reply(w, 200, map[string]any{"experiment": map[string]any{"experiment_id": "1"}})
				return
			}
			var body map[string]any
			_ = json.NewDecoder(r.Body).Decode(&body)
			filter = body["filter"]
			reply(w, 200, map[string]any{})
		}
		spec.Experiment = "e"
		got := ask(t, p, lab.MLflowProbe{Runs: &spec})
		if diff := cmp.Diff(map[string]any{"result": []any{}, "status": int64(200), "errorCode": ""}, got); diff != "" {
			t.Error(diff)
		}
		if filter != want && (want != "" || filter != nil) {
			t.Errorf("got %v, want %s", filter, want)
		}
	}
	if quote("it's") != `"it's"` || quote("x") != "'x'" {
		t.Error("quotes")
	}
}

// TestMLflowRubbish asks servers that are none.
func TestMLflowRubbish(t *testing.T) {
	t.Parallel()
	specs := []lab.MLflowProbe{
		{Alias: &lab.MLflowAlias{Model: "flight-delay", Name: "champion"}},
		{Version: &lab.MLflowVersion{Model: "flight-delay", Version: "1"}},
		{Versions: &lab.MLflowVersions{Model: "flight-delay"}},
		{Run: &lab.MLflowRun{Experiment: "e", Name: "r"}},
		{Runs: &lab.MLflowRuns{Experiment: "e"}},
		{Artifact: &lab.MLflowArtifact{Model: "flight-delay", Version: "1", Path: "MLmodel"}},
		{Artifact: &lab.MLflowArtifact{Experiment: "e", Run: "r", Path: "x"}},
	}
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		status int
		code   string
	}{
		"HTML":        {text(200, "<html>"), 200, CodeUnreadable},
		"truncated":   {text(200, `{"model_version": {`), 200, CodeUnreadable},
		"a list":      {text(200, `[]`), 200, CodeUnreadable},
		"no fields":   {text(200, `{}`), 200, CodeUnreadable},
		"wrong types": {text(200, `{"model_version": 1, "registered_model": [], "experiment": "x", "artifact_uri": {}}`), 200, CodeUnreadable},
		"huge":        {text(200, `{"model_version": "`+strings.Repeat("x", 2<<20)+`"}`), 200, CodeUnreadable},
		"error":       {text(500, `{"error_code": "INTERNAL_ERROR", "message": "boom"}`), 500, "INTERNAL_ERROR"},
		"error, HTML": {text(502, `<html>`), 502, CodeUnreadable},
		"Host":        {text(403, `Invalid Host header`), 403, CodeUnreadable},
		"redirect":    {text(302, `{}`), 302, CodeUnreadable},
		"none":        {nil, 0, CodeNoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, p := newAPI(t)
			if tt.answer != nil {
				a.proxy["mlflow:5000"] = tt.answer
			}
			for _, spec := range specs {
				got := ask(t, p, spec)
				if diff := cmp.Diff(map[string]any{"result": nil, "status": int64(tt.status), "errorCode": tt.code}, got); diff != "" {
					t.Errorf("%s: %s", whereMLflow(&spec), diff)
				}
			}
		})
	}
}

// TestMLflowEndlessPages asks a server whose lists have no end.
func TestMLflowEndlessPages(t *testing.T) {
	t.Parallel()
	a, p := newAPI(t)
	n := 0
	a.proxy["mlflow:5000"] = func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "registered-models/get") {
			reply(w, 200, map[string]any{"registered_model": map[string]any{}})
			return
		}
		n++
		reply(w, 200, map[string]any{"model_versions": []any{map[string]any{"version": "1"}}, "next_page_token": "again"})
	}
	o := see(t, p, lab.Probe{MLflow: &lab.MLflowProbe{Versions: &lab.MLflowVersions{Model: "m"}}})
	if n != maxPages || o.Detail != "only the first 40 are looked at" {
		t.Errorf("%d %+v", n, o.Detail)
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	for want, spec := range map[string]lab.Probe{
		"Deployment/predictor":                    kubeProbe("apps/v1", "Deployment", "predictor"),
		"Pod objects":                             kubeProbe("v1", "Pod", ""),
		"Pod objects with app=x":                  {Kube: &lab.KubeProbe{Kind: "Pod", Selector: "app=x"}},
		"GET predictor:8080/":                     {HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}},
		"metric sum(x)":                           {PromQL: &lab.PromQLProbe{Query: "sum(x)\n"}},
		"command registry list --json":            {Exec: &lab.ExecProbe{Argv: []string{"registry", "list", "--json"}}},
		"alias champion of model m":               {MLflow: &lab.MLflowProbe{Alias: &lab.MLflowAlias{Model: "m", Name: "champion"}}},
		"version 1 of model m":                    {MLflow: &lab.MLflowProbe{Version: &lab.MLflowVersion{Model: "m", Version: "1"}}},
		"versions of model m":                     {MLflow: &lab.MLflowProbe{Versions: &lab.MLflowVersions{Model: "m"}}},
		"run r of experiment e":                   {MLflow: &lab.MLflowProbe{Run: &lab.MLflowRun{Experiment: "e", Name: "r"}}},
		"runs of experiment e":                    {MLflow: &lab.MLflowProbe{Runs: &lab.MLflowRuns{Experiment: "e"}}},
		"file MLmodel of version 1 of model m":    {MLflow: &lab.MLflowProbe{Artifact: &lab.MLflowArtifact{Model: "m", Version: "1", Path: "MLmodel"}}},
		"file a/b of run r of experiment e":       {MLflow: &lab.MLflowProbe{Artifact: &lab.MLflowArtifact{Experiment: "e", Run: "r", Path: "a/b"}}},
		"MLflow":                                  {MLflow: &lab.MLflowProbe{}},
		"metric " + strings.Repeat("x", 79) + "…": {PromQL: &lab.PromQLProbe{Query: strings.Repeat("x", 200)}},
		"": {},
	} {
		if got := Where(spec); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
