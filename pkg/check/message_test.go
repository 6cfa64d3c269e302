package check

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/lab"
)

func TestText(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		"nothing": nil, `""`: "", "2": 2.0, "2.5": 2.5, "0.627": 0.627, "0.3": 0.1 + 0.2, "0.6271": 0.62712345, "0.01235": 0.0123456,
		"1234.6": 1234.56, "12.346": 12.3456, "1.7e+18": 1.7e18, "1385370000000": 1385370000000.0, "1e-05": 0.00001, "0": 0.0, "-0.5": -0.5,
		"7": int64(7), "true": true, "none": []any{}, "a, b, 3": []any{"a", "b", 3.0}, "a=1, b=nothing": map[string]any{"b": nil, "a": 1.0},
		"two lines": "two\nlines", "red": "\x1b\u202ered", strings.Repeat("x", 159) + "…": strings.Repeat("x", 200),
	} {
		if got := text(v); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 80)
	short, detail := fit(long, []string{"more"})
	if utf8.RuneCountInString(short) > maxMessage || !strings.HasPrefix(detail, long) || !strings.HasSuffix(detail, "more") {
		t.Errorf("%q %q", short, detail)
	}
	r := Result{Message: short}
	r.add("waiting does not help: x")
	if r.Message != short || r.Detail != "Waiting does not help: x." {
		t.Errorf("%+v", r)
	}
}

// TestMessages is what a learner reads in the cases that checks know.
func TestMessages(t *testing.T) {
	t.Parallel()
	pinned := lab.Check{
		ID: "MR3a", Points: 5, Probe: deploy("predictor"),
		With:   map[string]lab.Probe{"champion": {MLflow: &lab.MLflowProbe{Alias: &lab.MLflowAlias{Model: "flight-delay", Name: "champion"}}}},
		Expect: `object.spec.uri == "models:/flight-delay/" + champion.result.version`,
		Values: map[string]string{"found": "object.spec.uri", "expected": `"models:/flight-delay/" + champion.result.version`},
		Fail: lab.Fail{
			{When: "object == null", NearMiss: "", Text: "There is no {where}."},
			{When: `values.found.contains("@")`, NearMiss: "alias-in-uri", Text: "Pods load {found}; expected {expected}: an alias can change under a running Deployment."},
			{Text: "Pods load {found}; champion is {expected}."},
		},
	}
	served := lab.Check{
		ID: "MR3b", Points: 3, Probe: lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080, Method: "POST", Path: "/v2/models/flight-delay/infer"}},
		Expect: `status == 200 && json.model_version == "2"`, Values: map[string]string{"found": "json.model_version", "expected": `"2"`},
		Fail: lab.Fail{{Text: "The server answers as version {found}; expected {expected}. Old pods may still serve."}},
	}
	gone := lab.Check{
		ID: "MR4d", Points: 1, Probe: lab.Probe{MLflow: &lab.MLflowProbe{Alias: &lab.MLflowAlias{Model: "flight-delay", Name: "candidate"}}},
		Expect: `result == null`, Values: map[string]string{"found": "result.version", "expected": "null"},
		Fail: lab.Fail{{Text: "Alias candidate is on version {found}; expected {expected}."}},
	}
	quiet := lab.Check{
		ID: "DM2a", Points: 1, Probe: lab.Probe{PromQL: &lab.PromQLProbe{Query: `ALERTS{alertstate="firing"}`}},
		Expect: `n == 0`, Values: map[string]string{"found": `series.map(s, s.labels.alertname)`, "expected": "0"},
	}
	typed := lab.Check{
		ID: "MR5a", Points: 1, Probe: deploy("predictor"), Expect: `object.spec.uri > 5`,
		Values: map[string]string{"found": "object.spec.uri", "expected": "6"}, Fail: lab.Fail{{Text: "{found} is no {expected}, {other}. " + strings.Repeat("Long words follow. ", 14)}},
	}
	uri := func(s string) map[string]any {
		return map[string]any{"object": map[string]any{"spec": map[string]any{"uri": s}}}
	}
	champion := map[string]any{"result": map[string]any{"version": "2"}, "status": int64(200), "errorCode": ""}
	http := func(status int, json any) map[string]any {
		return map[string]any{"status": int64(status), "json": json, "body": "", "headers": map[string]any{}}
	}
	r := newRunner(t, labOf(pinned, served, gone, quiet, typed), &fake{})
	var b strings.Builder
	say := func(title string, c lab.Check, silent string, evidence map[string]map[string]any) {
		res := r.judge(t.Context(), r.byID[c.ID], &seen{evidence: evidence, silent: silent})
		fmt.Fprintf(&b, "# %s\n%s %s", title, res.Status, res.ID)
		if res.NearMiss != "" {
			fmt.Fprintf(&b, " [%s]", res.NearMiss)
		}
		fmt.Fprintf(&b, ": %s\n", res.Message)
		if res.Detail != "" {
			fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(res.Detail, "\n", "\n  "))
		}
		if n := utf8.RuneCountInString(res.Message); n > maxMessage {
			t.Errorf("%s: %d characters", title, n)
		}
	}
	both := func(own, with map[string]any) map[string]map[string]any {
		return map[string]map[string]any{"": own, "champion": with}
	}
	own := func(vars map[string]any) map[string]map[string]any { return map[string]map[string]any{"": vars} }
	say("pinned", pinned, "", both(uri("models:/flight-delay/2"), champion))
	say("another version", pinned, "", both(uri("models:/flight-delay/1"), champion))
	say("near miss", pinned, "", both(uri("models:/flight-delay@champion"), champion))
	say("no object", pinned, "", both(map[string]any{"object": nil}, champion))
	say("no alias", pinned, "", both(uri("models:/flight-delay/1"), map[string]any{"result": nil, "status": int64(400), "errorCode": "INVALID_PARAMETER_VALUE"}))
	say("registry down", pinned, "Service mlflow:5000 does not answer: no pod behind it is ready", both(uri("x"), map[string]any{"result": nil, "status": int64(0), "errorCode": probe.CodeNoAnswer}))
	say("registry answers rubbish", pinned, "", both(uri("x"), map[string]any{"result": nil, "status": int64(200), "errorCode": probe.CodeUnreadable}))
	say("old pods", served, "", own(http(200, map[string]any{"model_version": "1"})))
	say("HTML", served, "", own(http(502, nil)))
	say("no answer", served, "Service predictor:8080 does not answer: connection refused", own(http(0, nil)))
	say("no answer, from a record", served, "", own(http(0, nil)))
	say("none is right", gone, "", own(map[string]any{"result": nil, "status": int64(400), "errorCode": "INVALID_PARAMETER_VALUE"}))
	say("none because the registry is down", gone, "", own(map[string]any{"result": nil, "status": float64(0), "errorCode": probe.CodeNoAnswer}))
	say("none because of an error", gone, "", own(map[string]any{"result": nil, "status": int64(500), "errorCode": "INTERNAL_ERROR"}))
	say("no text of the author", quiet, "", own(map[string]any{"n": int64(1), "series": []any{map[string]any{"labels": map[string]any{"alertname": "Drift"}, "value": 1.0, "timestamp": 1.0}}, "status": int64(200), "errorCode": ""}))
	say("quiet", quiet, "", own(map[string]any{"n": int64(0), "series": []any{}, "status": int64(200), "errorCode": ""}))
	say("quiet because Prometheus is down", quiet, "", own(map[string]any{"status": int64(0), "errorCode": probe.CodeNoAnswer}))
	say("wrong type, long text", typed, "", own(uri("x")))
	golden.Equal(t, []byte(b.String()), "messages.golden")
}
