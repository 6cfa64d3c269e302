package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"labctl.dev/labctl/pkg/lab"
)

// The Services of the components that probes know.
const (
	promService   = "prometheus"
	promPort      = 9090
	mlflowService = "mlflow"
	mlflowPort    = 5000
)

// Codes for answers that say nothing; all others are the component's own.
const (
	CodeNoAnswer   = "NO_ANSWER"
	CodeUnreadable = "UNREADABLE"
)

// scrapeLag is how long Prometheus may take to have seen and evaluated what
// just happened: a scrape and an evaluation of 5 s each, and their queues.
const scrapeLag = 15 * time.Second

func (p *Prober) promQL(ctx context.Context, spec *lab.PromQLProbe) (Observation, error) {
	look, err := p.look(ctx)
	if err != nil {
		return Observation{}, err
	}
	a, err := p.ask(ctx, question{
		service: promService, port: promPort, method: http.MethodGet,
		path: "/api/v1/query?" + url.Values{"query": {spec.Query}}.Encode(),
	})
	if err != nil {
		return Observation{}, err
	}
	o := readPromQL(a)
	o.settle(look.Service(promService))
	if pod, ago := look.Changed(); o.Moving == "" && o.Hopeless == "" && pod != "" && ago >= 0 && ago < scrapeLag {
		o.Moving = fmt.Sprintf("pod %s changed %d s ago, which Prometheus may not have seen yet", pod, int(ago.Seconds()))
	}
	return o, nil
}

// readPromQL turns an answer into variables. What could not be read has no
// series at all, so that nothing holds for them.
func readPromQL(a answer) Observation {
	o := Observation{Silent: a.silent, Detail: a.cut, Vars: map[string]any{"status": int64(a.status), "errorCode": ""}}
	if a.status == 0 {
		o.Vars["errorCode"] = CodeNoAnswer
		return o
	}
	doc, _ := a.json().(map[string]any)
	if code, ok := doc["errorType"].(string); ok && doc["status"] == "error" {
		text, _ := doc["error"].(string)
		o.Vars["errorCode"], o.Detail = code, "Prometheus: "+text
		return o
	}
	list, ok := series(doc)
	if !ok {
		o.Vars["errorCode"] = CodeUnreadable
		o.Detail = unreadable(a)
		return o
	}
	o.Vars["series"], o.Vars["n"] = list, int64(len(list))
	if len(list) > 0 {
		o.Vars["value"] = list[0].(map[string]any)["value"]
	}
	return o
}

// series reads a vector or a scalar.
func series(doc map[string]any) ([]any, bool) {
	data, _ := doc["data"].(map[string]any)
	if doc["status"] != "success" {
		return nil, false
	}
	var samples []any
	switch result, _ := data["result"].([]any); data["resultType"] {
	case "scalar":
		samples = []any{map[string]any{"value": result}}
	case "vector":
		if result == nil {
			return nil, false
		}
		samples = result
	default:
		return nil, false
	}
	list := make([]any, 0, len(samples))
	for _, s := range samples {
		sample, _ := s.(map[string]any)
		pair, _ := sample["value"].([]any)
		if len(pair) != 2 {
			return nil, false
		}
		at, isTime := pair[0].(float64)
		text, isText := pair[1].(string)
		if !isTime || !isText {
			return nil, false
		}
		labels, _ := sample["metric"].(map[string]any)
		if labels == nil {
			labels = map[string]any{}
		}
		list = append(list, map[string]any{"labels": labels, "value": number(text), "timestamp": at})
	}
	return list, true
}

// number reads a sample. NaN and the infinities stay texts: JSON has no numbers
// for them, and no comparison with a number holds for a text.
func number(text string) any {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != f || f-f != 0 {
		return text
	}
	return f
}

// unreadable shows the begin of an answer that makes no sense.
func unreadable(a answer) string {
	if a.cut != "" {
		return a.cut
	}
	return fmt.Sprintf("status %d, which can't be read: %s", a.status, short(string(a.body[:min(len(a.body), 400)])))
}
