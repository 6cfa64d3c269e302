//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// open opens an endpoint of the lab for the length of the test.
func (m *machine) open(t *testing.T, endpoint string) (url string, p *process) {
	t.Helper()
	p = m.start(t, "open", labName, endpoint, "--no-browser", "-o", "json")
	p.waitFor(t, "until you press Ctrl-C")
	eventually(t, "the URL is printed", time.Minute, func() bool { return strings.Contains(p.out.String(), "}") })
	return decode[struct{ URL string }](t, p.out.String()).URL, p
}

type run struct {
	Info struct {
		RunID  string `json:"run_id"`
		Name   string `json:"run_name"`
		Status string
	}
	Data struct {
		Metrics []struct {
			Key   string
			Value float64
		}
		Params, Tags []struct{ Key, Value string }
	}
	Inputs struct {
		Datasets []struct {
			Dataset struct{ Digest string }
		} `json:"dataset_inputs"`
	}
}

type runs struct{ Runs []run }

type versions struct {
	Versions []struct {
		Version, RunID, Status, Source string
		Run                            string `json:"run_id"`
	} `json:"model_versions"`
}

// wantSeed checks what a person sees who opens MLflow in a fresh lab: real
// runs with metrics and lineage, one registered version, and its model's bytes.
func (m *machine) wantSeed(t *testing.T) {
	t.Helper()
	base, p := m.open(t, "mlflow")
	defer p.interrupt(t)
	api := strings.TrimSuffix(base, "/") + "/api/2.0/mlflow/"

	exp, err := getJSON[struct {
		Experiment struct {
			ID string `json:"experiment_id"`
		}
	}](t.Context(), http.MethodGet, api+"experiments/get-by-name?experiment_name=flight-delay", "")
	if err != nil {
		t.Fatal(err)
	}
	found, err := getJSON[runs](t.Context(), http.MethodPost, api+"runs/search", `{"experiment_ids":["`+exp.Experiment.ID+`"]}`)
	if err != nil {
		t.Fatal(err)
	}
	auc := map[string]float64{}
	var registered string
	for _, r := range found.Runs {
		if r.Info.Status != "FINISHED" {
			t.Errorf("run %s is %s", r.Info.Name, r.Info.Status)
		}
		for _, metric := range r.Data.Metrics {
			if metric.Key == "auc" {
				auc[r.Info.Name] = metric.Value
			}
		}
		for _, want := range []string{"git_sha", "data_digest", "train_start", "train_end"} {
			if !slices.ContainsFunc(r.Data.Tags, func(tag struct{ Key, Value string }) bool { return tag.Key == want && tag.Value != "" }) {
				t.Errorf("run %s has no tag %s", r.Info.Name, want)
			}
		}
		if len(r.Inputs.Datasets) == 0 || r.Inputs.Datasets[0].Dataset.Digest == "" {
			t.Errorf("run %s has no dataset digest", r.Info.Name)
		}
		if r.Info.Name == "winter-noweather" {
			registered = r.Info.RunID
		}
	}
	// The figures that the lab's tasks rest on; the leaky run must look best.
	for name, want := range map[string]float64{"winter-lr": 0.70, "winter-leaky": 0.92, "winter-noweather": 0.65} {
		if got := auc[name]; got < want-0.02 || got > want+0.02 {
			t.Errorf("run %s has AUC %.3f, want about %.2f (runs: %v)", name, got, want, auc)
		}
	}
	v, err := getJSON[versions](t.Context(), http.MethodGet, api+"model-versions/search?filter=name%3D%27flight-delay%27", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Versions) != 1 || v.Versions[0].Version != "1" || v.Versions[0].Status != "READY" || v.Versions[0].Run != registered {
		t.Fatalf("registered versions are %+v, want version 1 of run winter-noweather (%s)", v.Versions, registered)
	}
	m.wantModel(t, api)
}

// wantModel downloads the registered model through the server, which proves the
// way from MLflow to the object store.
func (m *machine) wantModel(t *testing.T, api string) {
	t.Helper()
	uri, err := getJSON[struct {
		URI string `json:"artifact_uri"`
	}](t.Context(), http.MethodGet, api+"model-versions/get-download-uri?name=flight-delay&version=1", "")
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(uri.URI, "mlflow-artifacts:/")
	url := strings.TrimSuffix(api, "mlflow/") + "mlflow-artifacts/artifacts/" + path + "/MLmodel"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "sklearn") {
		t.Fatalf("GET %s: %s, %v\n%s", url, resp.Status, err, body)
	}
}

// mlflowAnswers tells whether the server behind a forwarded port works.
func mlflowAnswers(t *testing.T, base string) bool {
	t.Helper()
	_, err := getJSON[json.RawMessage](t.Context(), http.MethodGet, strings.TrimSuffix(base, "/")+"/api/2.0/mlflow/registered-models/get?name=flight-delay", "")
	return err == nil
}

// reconnectTime is how long a replaced pod may take to be back.
const reconnectTime = 3 * time.Minute
