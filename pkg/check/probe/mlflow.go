package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"labctl.dev/labctl/pkg/lab"
)

const (
	mlflowAPI = "/api/2.0/mlflow/"
	// pageSize keeps a page of runs, whose tags may hold whole models'
	// histories, below the cap of a body; maxPages bounds how many are read.
	pageSize = 50
	maxPages = 40
	// anyStatus is the status of runs that are not asked for one.
	anyStatus = "ANY"
)

// registry is MLflow, asked through a Prober. It remembers the first answer
// that was no result, and asks no more after that.
type registry struct {
	p      *Prober
	status int
	code   string
	silent string
	detail string
}

func (p *Prober) mlflow(ctx context.Context, spec *lab.MLflowProbe) (Observation, error) {
	look, err := p.look(ctx)
	if err != nil {
		return Observation{}, err
	}
	r := &registry{p: p}
	result, err := r.find(ctx, spec)
	if err != nil {
		return Observation{}, err
	}
	o := Observation{
		Vars:   map[string]any{"result": result, "status": int64(r.status), "errorCode": r.code},
		Silent: r.silent, Detail: r.detail,
	}
	o.settle(look.Service(mlflowService))
	return o, nil
}

// find gives what a probe asks for; nil when there is none.
func (r *registry) find(ctx context.Context, spec *lab.MLflowProbe) (any, error) {
	switch {
	case spec.Alias != nil:
		return r.version(ctx, "registered-models/alias?"+url.Values{"name": {spec.Alias.Model}, "alias": {spec.Alias.Name}}.Encode(), spec.Alias.Model)
	case spec.Version != nil:
		return r.version(ctx, versionQuery("get", spec.Version.Model, spec.Version.Version), spec.Version.Model)
	case spec.Versions != nil:
		return r.versions(ctx, spec.Versions.Model)
	case spec.Run != nil:
		return some(r.newest(ctx, spec.Run.Experiment, spec.Run.Name))
	case spec.Runs != nil:
		return r.runs(ctx, spec.Runs)
	case spec.Artifact != nil:
		return some(r.artifact(ctx, spec.Artifact))
	default:
		return nil, &TroubleError{Err: errors.New("the mlflow probe asks for nothing")}
	}
}

// some keeps a nil map from becoming a value that is not nil.
func some(m map[string]any, err error) (any, error) {
	if m == nil {
		return nil, err
	}
	return m, err
}

func versionQuery(call, model, version string) string {
	return "model-versions/" + call + "?" + url.Values{"name": {model}, "version": {version}}.Encode()
}

// get asks MLflow's API; nil stands for anything but a document.
func (r *registry) get(ctx context.Context, path string) (map[string]any, error) {
	return r.ask(ctx, question{method: http.MethodGet, path: mlflowAPI + path})
}

func (r *registry) post(ctx context.Context, path string, body any) (map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, &TroubleError{Err: err}
	}
	return r.ask(ctx, question{
		method: http.MethodPost, path: mlflowAPI + path, body: text, headers: map[string]string{"Content-Type": "application/json"},
	})
}

func (r *registry) ask(ctx context.Context, q question) (map[string]any, error) {
	a, err := r.raw(ctx, q)
	if err != nil {
		return nil, err
	}
	doc, ok := a.json().(map[string]any)
	switch {
	case a.status == 0:
		return nil, nil //nolint:nilnil // no document; the registry knows why
	case !ok:
		r.code, r.detail = CodeUnreadable, unreadable(a)
		return nil, nil //nolint:nilnil // as above
	case a.status >= http.StatusBadRequest:
		code, _ := doc["error_code"].(string)
		text, _ := doc["message"].(string)
		if code == "" {
			code = CodeUnreadable
		}
		r.code, r.detail = code, "MLflow: "+short(text)
		return nil, nil //nolint:nilnil // as above
	case a.status != http.StatusOK:
		r.code, r.detail = CodeUnreadable, unreadable(a)
		return nil, nil //nolint:nilnil // as above
	}
	return doc, nil
}

// raw asks for anything, and notes the status.
func (r *registry) raw(ctx context.Context, q question) (answer, error) {
	q.service, q.port = mlflowService, mlflowPort
	a, err := r.p.ask(ctx, q)
	if err != nil {
		return a, err
	}
	r.status = a.status
	if a.status == 0 {
		r.code, r.silent = CodeNoAnswer, a.silent
	}
	return a, nil
}

// version reads one version. A model or an alias that is not there is an
// answer with 404, or 400: no version.
func (r *registry) version(ctx context.Context, path, model string) (any, error) {
	doc, err := r.get(ctx, path)
	if doc == nil || err != nil {
		return nil, err
	}
	raw, ok := doc["model_version"].(map[string]any)
	if !ok {
		r.nonsense("no model_version in the answer")
		return nil, nil
	}
	aliases, ok, err := r.aliases(ctx, model)
	if !ok || err != nil {
		return nil, err
	}
	return versionOf(raw, aliases), nil
}

// nonsense notes an answer that is JSON and still no answer.
func (r *registry) nonsense(why string) {
	r.code, r.detail = CodeUnreadable, "MLflow: "+why
}

// aliases gives the aliases of a model by version: the lists of versions lack
// them.
func (r *registry) aliases(ctx context.Context, model string) (map[string][]any, bool, error) {
	doc, err := r.get(ctx, "registered-models/get?"+url.Values{"name": {model}}.Encode())
	if doc == nil || err != nil {
		return nil, false, err
	}
	registered, ok := doc["registered_model"].(map[string]any)
	if !ok {
		r.nonsense("no registered_model in the answer")
		return nil, false, nil
	}
	byVersion := make(map[string][]any)
	for _, item := range items(registered["aliases"]) {
		name, _ := item["alias"].(string)
		version := fmt.Sprint(item["version"])
		byVersion[version] = append(byVersion[version], name)
	}
	return byVersion, true, nil
}

func versionOf(raw map[string]any, aliases map[string][]any) map[string]any {
	v := maps.Clone(raw)
	v["tags"] = pairs(raw["tags"])
	own := aliases[fmt.Sprint(raw["version"])]
	if own == nil {
		own = []any{}
	}
	v["aliases"] = own
	return v
}

func (r *registry) versions(ctx context.Context, model string) (any, error) {
	aliases, ok, err := r.aliases(ctx, model)
	if !ok || err != nil {
		return nil, err
	}
	query := url.Values{"filter": {"name = " + quote(model)}, "max_results": {fmt.Sprint(pageSize)}}
	list, err := r.pages("model_versions", func(token string) (map[string]any, error) {
		if token != "" {
			query.Set("page_token", token)
		}
		return r.get(ctx, "model-versions/search?"+query.Encode())
	})
	if list == nil || err != nil {
		return nil, err
	}
	for i, item := range list {
		list[i] = versionOf(item.(map[string]any), aliases)
	}
	return list, nil
}

// pages reads a list to its end; nil when a page is no answer.
func (r *registry) pages(field string, ask func(token string) (map[string]any, error)) ([]any, error) {
	list, token := []any{}, ""
	for range maxPages {
		doc, err := ask(token)
		if doc == nil || err != nil {
			return nil, err
		}
		for _, item := range items(doc[field]) {
			list = append(list, item)
		}
		token, _ = doc["next_page_token"].(string)
		if token == "" {
			return list, nil
		}
	}
	r.detail = fmt.Sprintf("only the first %d are looked at", len(list))
	return list, nil
}

// experiment gives the id of an experiment.
func (r *registry) experiment(ctx context.Context, name string) (string, error) {
	doc, err := r.get(ctx, "experiments/get-by-name?"+url.Values{"experiment_name": {name}}.Encode())
	if doc == nil || err != nil {
		return "", err
	}
	e, _ := doc["experiment"].(map[string]any)
	id, ok := e["experiment_id"].(string)
	if !ok {
		r.nonsense("no experiment in the answer")
		return "", nil
	}
	return id, nil
}

// newest gives the newest run of a name, whatever its status.
func (r *registry) newest(ctx context.Context, experiment, name string) (map[string]any, error) {
	id, err := r.experiment(ctx, experiment)
	if id == "" || err != nil {
		return nil, err
	}
	doc, err := r.post(ctx, "runs/search", map[string]any{
		"experiment_ids": []string{id}, "filter": "attributes.run_name = " + quote(name),
		"order_by": []string{"attributes.start_time DESC"}, "max_results": 1,
	})
	if doc == nil || err != nil {
		return nil, err
	}
	list := items(doc["runs"])
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // no such run
	}
	return runOf(list[0]), nil
}

func (r *registry) runs(ctx context.Context, spec *lab.MLflowRuns) (any, error) {
	id, err := r.experiment(ctx, spec.Experiment)
	if id == "" || err != nil {
		return nil, err
	}
	body := map[string]any{"experiment_ids": []string{id}, "max_results": pageSize}
	var filters []string
	if spec.Filter != "" {
		filters = append(filters, spec.Filter)
	}
	switch spec.Status {
	case anyStatus:
	case "":
		filters = append(filters, "attributes.status = 'FINISHED'")
	default:
		filters = append(filters, "attributes.status = "+quote(spec.Status))
	}
	if len(filters) > 0 {
		body["filter"] = strings.Join(filters, " and ")
	}
	if spec.OrderBy != "" {
		body["order_by"] = []string{spec.OrderBy}
	}
	list, err := r.pages("runs", func(token string) (map[string]any, error) {
		if token != "" {
			body["page_token"] = token
		}
		return r.post(ctx, "runs/search", body)
	})
	if list == nil || err != nil {
		return nil, err
	}
	for i, item := range list {
		list[i] = runOf(item.(map[string]any))
	}
	return list, nil
}

// runOf flattens a run: the fields of its info, with params, metrics and tags
// as maps, its data sets and the ids of the models it logged.
func runOf(raw map[string]any) map[string]any {
	info, _ := raw["info"].(map[string]any)
	data, _ := raw["data"].(map[string]any)
	run := maps.Clone(info)
	if run == nil {
		run = make(map[string]any)
	}
	run["params"], run["metrics"], run["tags"] = pairs(data["params"]), pairs(data["metrics"]), pairs(data["tags"])
	inputs, _ := raw["inputs"].(map[string]any)
	datasets := []any{}
	for _, input := range items(inputs["dataset_inputs"]) {
		d, _ := input["dataset"].(map[string]any)
		set := maps.Clone(d)
		if set == nil {
			continue
		}
		for _, field := range []string{"source", "schema", "profile"} { // JSON inside of texts
			if text, ok := set[field].(string); ok {
				if v := parse([]byte(text)); v != nil {
					set[field] = v
				}
			}
		}
		set["tags"] = pairs(input["tags"])
		datasets = append(datasets, set)
	}
	outputs, _ := raw["outputs"].(map[string]any)
	models := []any{}
	for _, m := range items(outputs["model_outputs"]) {
		models = append(models, m["model_id"])
	}
	run["datasets"], run["models"] = datasets, models
	return run
}

// items gives the objects of a list; anything else is left out.
func items(v any) []map[string]any {
	list, _ := v.([]any)
	var objects []map[string]any
	for _, item := range list {
		if o, ok := item.(map[string]any); ok {
			objects = append(objects, o)
		}
	}
	return objects
}

// pairs turns a list of keys and values into a map. Of metrics the API sends
// the last value only.
func pairs(v any) map[string]any {
	m := make(map[string]any)
	for _, item := range items(v) {
		if key, ok := item["key"].(string); ok {
			m[key] = item["value"]
		}
	}
	return m
}

// quote writes a text for a filter, which knows no escapes.
func quote(s string) string {
	if strings.Contains(s, "'") {
		return `"` + strings.ReplaceAll(s, `"`, "") + `"`
	}
	return "'" + s + "'"
}
