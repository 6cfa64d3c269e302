package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
)

func see(t *testing.T, p *Prober, spec lab.Probe) Observation {
	t.Helper()
	o, err := p.Probe(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(o.Vars); err != nil {
		t.Fatal(err)
	}
	return o
}

func trouble1(t *testing.T, p *Prober, spec lab.Probe) *TroubleError {
	t.Helper()
	o, err := p.Probe(t.Context(), spec)
	var known *TroubleError
	if !errors.As(err, &known) {
		t.Fatalf("got %+v, %v", o, err)
	}
	return known
}

func kubeProbe(version, kind, name string) lab.Probe {
	return lab.Probe{Kube: &lab.KubeProbe{APIVersion: version, Kind: kind, Name: name}}
}

func TestKube(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ready            bool
		change           func(*appsv1.Deployment, *corev1.Pod)
		moving, hopeless string
	}{
		"settled":      {true, nil, "", ""},
		"starting":     {false, nil, "pod predictor-x: starting", ""},
		"not observed": {true, func(d *appsv1.Deployment, _ *corev1.Pod) { d.Generation = 3 }, "Deployment/predictor has changed and nothing has acted on it yet", ""},
		"deleted": {true, func(d *appsv1.Deployment, _ *corev1.Pod) {
			d.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		}, "Deployment/predictor is being deleted", ""},
		"pod goes": {true, func(_ *appsv1.Deployment, p *corev1.Pod) {
			p.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		}, "pod predictor-x is being removed", ""},
		"crash loop": {false, func(_ *appsv1.Deployment, p *corev1.Pod) {
			p.Status.ContainerStatuses[0].RestartCount = 2
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
			p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1}
		}, "", "pod predictor-x: CrashLoopBackOff: container server ended with exit code 1, restarted 2 times"},
		"first crash": {false, func(_ *appsv1.Deployment, p *corev1.Pod) {
			p.Status.ContainerStatuses[0].RestartCount = 1
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
			p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1}
		}, "pod predictor-x: container server ended with exit code 1, restarted once", ""},
		"bad image name": {false, func(_ *appsv1.Deployment, p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "InvalidImageName", Message: "bad"}}
		}, "", "pod predictor-x: InvalidImageName: image : bad"},
		"pull fails": {false, func(_ *appsv1.Deployment, p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}}
		}, "pod predictor-x: can't pull : not found", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, p := newAPI(t)
			predictor(a, tt.ready, tt.change)
			o := see(t, p, kubeProbe("apps/v1", "Deployment", "predictor"))
			if o.Where != "Deployment/predictor" || o.Moving != tt.moving || o.Hopeless != tt.hopeless {
				t.Errorf("%+v", o)
			}
			object := o.Vars["object"].(map[string]any)
			meta := object["metadata"].(map[string]any)
			if meta["name"] != "predictor" || meta["managedFields"] != nil {
				t.Error(object)
			}
			if strings.HasPrefix(name, "pull") {
				return
			}
			// A list says the same.
			o = see(t, p, kubeProbe("apps/v1", "Deployment", ""))
			if len(o.Vars["objects"].([]any)) != 1 || o.Moving != tt.moving || o.Hopeless != tt.hopeless {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestKubeOthers(t *testing.T) {
	t.Parallel()
	a, p := newAPI(t)
	a.add("configmaps", &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "gateway-routes"}, Data: map[string]string{"a": "1"}})
	o := see(t, p, kubeProbe("v1", "ConfigMap", "gateway-routes"))
	if o.Vars["object"].(map[string]any)["data"].(map[string]any)["a"] != "1" || a.requests["pods"] != 0 {
		t.Errorf("%+v %v", o, a.requests)
	}
	o = see(t, p, kubeProbe("v1", "ConfigMap", "other"))
	if v, ok := o.Vars["object"]; !ok || v != nil {
		t.Errorf("%+v", o)
	}
	for spec, want := range map[lab.KubeProbe]string{
		{APIVersion: "v1", Kind: "Node", Name: "n"}:                      "Node belongs to the whole cluster",
		{APIVersion: "argoproj.io/v1alpha1", Kind: "Workflow"}:           "find kind Workflow",
		{APIVersion: "a/b/c", Kind: "Workflow"}:                          "unexpected GroupVersion string",
		{APIVersion: "v1", Kind: "Nodes", Name: "n", Selector: "a in ("}: "find kind Nodes",
	} {
		if e := trouble1(t, p, lab.Probe{Kube: &spec}); e.Passing || !strings.Contains(e.Error(), want) {
			t.Error(e)
		}
	}
	if e := trouble1(t, p, lab.Probe{}); e.Passing {
		t.Error(e)
	}
}

func TestAPIServerTrouble(t *testing.T) {
	t.Parallel()
	for code, passing := range map[int]bool{401: false, 500: true} {
		a, p := newAPI(t)
		a.status = code
		for _, spec := range []lab.Probe{
			kubeProbe("v1", "Pod", "x"),
			{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}},
			{PromQL: &lab.PromQLProbe{Query: "up"}},
			{MLflow: &lab.MLflowProbe{Versions: &lab.MLflowVersions{Model: "m"}}},
			{Exec: &lab.ExecProbe{Argv: []string{"true"}}},
		} {
			e := trouble1(t, p, spec)
			if e.Passing != passing {
				t.Errorf("%d: %s: %v", code, spec.Kind(), e)
			}
		}
	}
	// One that has only just started refuses everybody.
	a, p := newAPI(t)
	a.proxy["predictor:8080"] = func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 403, metav1.StatusReasonForbidden, `services "predictor:8080" is forbidden: rbac: RBAC: [clusterrole.rbac.authorization.k8s.io "cluster-admin" not found]`)
	}
	if e := trouble1(t, p, lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}}); !e.Passing {
		t.Error(e)
	}
	// Or knows no path.
	a.notReady = true
	a.proxy["predictor:8080"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	if e := trouble1(t, p, lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}}); !e.Passing {
		t.Error(e)
	}
	// Rights that only the judgement needs may be missing.
	a, p = newAPI(t)
	a.status = 403
	a.proxy["predictor:8080"] = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }
	if o := see(t, p, lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}}); o.Vars["body"] != "ok" {
		t.Errorf("%+v", o)
	}
	if e := trouble1(t, p, lab.Probe{Exec: &lab.ExecProbe{Argv: []string{"true"}}}); e.Passing || !strings.Contains(e.Error(), "forbidden") {
		t.Error(e)
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	a, p := newAPI(t)
	predictor(a, true, nil)
	a.proxy["predictor:8080"] = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Version", "2")
		reply(w, 201, map[string]any{"host": r.Host, "method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "body": string(body), "h": r.Header.Get("X-Ask")})
	}
	o := see(t, p, lab.Probe{HTTP: &lab.HTTPProbe{
		Service: "predictor", Port: 8080, Method: "POST", Path: "/v2/models/flight%20delay/infer?a=b%20c", BodyFile: "checks/row.json", Headers: map[string]string{"X-Ask": "1"},
	}})
	want := map[string]any{"host": "localhost:8080", "method": "POST", "path": "/v2/models/flight delay/infer", "query": "a=b%20c", "body": `{"row": 1}`, "h": "1"}
	if diff := cmp.Diff(want, o.Vars["json"]); diff != "" {
		t.Error(diff)
	}
	if o.Vars["status"] != int64(201) || o.Vars["headers"].(map[string]any)["x-version"] != "2" || o.Moving+o.Hopeless+o.Silent != "" ||
		o.Where != "POST predictor:8080/v2/models/flight%20delay/infer?a=b%20c" {
		t.Errorf("%+v", o)
	}
	if e := trouble1(t, p, lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080, BodyFile: "checks/none.json"}}); e.Passing {
		t.Error(e)
	}
	p.files = nil
}

// TestRubbish asks components that do not answer as they should.
func TestRubbish(t *testing.T) {
	t.Parallel()
	broken := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"half": `))
	}
	tests := map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		status int
		silent string
		json   any
		detail string
	}{
		"HTML":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>login</html>")) }, 200, "", nil, ""},
		"empty":      {func(http.ResponseWriter, *http.Request) {}, 200, "", nil, ""},
		"500":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, 500, "", nil, ""},
		"own 503":    {func(w http.ResponseWriter, _ *http.Request) { reply(w, 503, map[string]any{"error": "loading"}) }, 503, "", map[string]any{"error": "loading"}, ""},
		"own 401":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, 401, "", nil, ""},
		"redirect":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, 302, "", nil, ""},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) { broken(w) }, 200, "", nil, "the answer broke off: unexpected EOF"},
		"two values": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{} {}")) }, 200, "", nil, ""},
		"deep": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)))
		}, 200, "", nil, ""},
		"huge": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`"` + strings.Repeat("x", 4<<20) + `"`))
		}, 200, "", nil, "only the first MiB of the answer was read"},
		"never": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, "Service predictor:8080 does not answer within 1s", nil, ""},
		"drop by drop": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		}, 0, "Service predictor:8080 does not answer within 1s", nil, ""},
		"no pod": {func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 503, metav1.StatusReasonServiceUnavailable, `no endpoints available for service "predictor"`)
		}, 0, "Service predictor:8080 does not answer: no pod behind it is ready", nil, ""},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 503, metav1.StatusReasonServiceUnavailable, "error trying to reach service: dial tcp 10.244.0.9:8080: connect: connection refused")
		}, 0, "Service predictor:8080 does not answer: connection refused", nil, ""},
		"no route": {func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 503, metav1.StatusReasonServiceUnavailable, "error trying to reach service: dial tcp 10.244.0.9:8080: connect: no route to host")
		}, 0, "Service predictor:8080 does not answer: connect: no route to host", nil, ""},
		"no port": {func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 503, metav1.StatusReasonServiceUnavailable, `no service port 8080 found for service "predictor"`)
		}, 0, "Service predictor has no port 8080", nil, ""},
		"no Service": {nil, 0, "there is no Service predictor", nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, p := newAPI(t)
			if tt.answer != nil {
				a.proxy["predictor:8080"] = tt.answer
			}
			if strings.Contains(tt.silent, "within") {
				p.patience = 500 * time.Millisecond
			}
			o := see(t, p, lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}})
			if o.Vars["status"] != int64(tt.status) || o.Silent != tt.silent || o.Detail != tt.detail || len(o.Vars["body"].(string)) > maxBody {
				t.Errorf("status %v, silent %q, detail %q", o.Vars["status"], o.Silent, o.Detail)
			}
			if diff := cmp.Diff(tt.json, o.Vars["json"]); diff != "" {
				t.Error(diff)
			}
		})
	}
	for code, passing := range map[int]bool{401: false, 403: false, 500: true, 429: true} {
		a, p := newAPI(t)
		a.proxy["predictor:8080"] = func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, code, map[int]metav1.StatusReason{401: metav1.StatusReasonUnauthorized, 403: metav1.StatusReasonForbidden}[code], "no")
		}
		if e := trouble1(t, p, lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}}); e.Passing != passing {
			t.Errorf("%d: %v", code, e)
		}
	}
}

func TestHTTPSettles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ready            bool
		change           func(*appsv1.Deployment, *corev1.Pod)
		moving, hopeless string
	}{
		"settled":  {true, nil, "", ""},
		"starting": {false, nil, "pod predictor-x: starting", ""},
		"fresh": {true, func(_ *appsv1.Deployment, p *corev1.Pod) {
			p.Status.Conditions[0].LastTransitionTime = metav1.Now()
		}, "pod predictor-x has just become ready", ""},
		"goes": {true, func(_ *appsv1.Deployment, p *corev1.Pod) {
			p.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		}, "pod predictor-x is being removed", ""},
		"hopeless": {false, func(_ *appsv1.Deployment, p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImageNeverPull"}}
		}, "", "pod predictor-x: ErrImageNeverPull: image : "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, p := newAPI(t)
			predictor(a, tt.ready, tt.change)
			a.proxy["predictor:8080"] = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }
			o := see(t, p, lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}})
			if o.Moving != tt.moving || o.Hopeless != tt.hopeless {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestLooksAreShared(t *testing.T) {
	t.Parallel()
	a, p := newAPI(t)
	predictor(a, true, nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _ = p.Probe(t.Context(), lab.Probe{HTTP: &lab.HTTPProbe{Service: "predictor", Port: 8080}}) })
	}
	wg.Wait()
	if n := a.requests["pods"]; n < 1 || n > 4 {
		t.Errorf("%d lists of pods", n)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := p.Probe(ctx, kubeProbe("v1", "Pod", "x")); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestPromQL(t *testing.T) {
	t.Parallel()
	ok := func(kind, result string) string {
		return fmt.Sprintf(`{"status": "success", "data": {"resultType": %q, "result": %s}}`, kind, result)
	}
	one := map[string]any{"labels": map[string]any{"app": "predictor"}, "value": 0.12, "timestamp": 1.5}
	tests := map[string]struct {
		status int
		body   string
		vars   map[string]any
		detail string
	}{
		"vector": {200, ok("vector", `[{"metric": {"app": "predictor"}, "value": [1.5, "0.12"]}]`), map[string]any{"n": int64(1), "value": 0.12, "series": []any{one}, "errorCode": ""}, ""},
		"none":   {200, ok("vector", `[]`), map[string]any{"n": int64(0), "series": []any{}, "errorCode": ""}, ""},
		"scalar": {200, ok("scalar", `[1.5, "3"]`), map[string]any{"n": int64(1), "value": 3.0, "series": []any{map[string]any{"labels": map[string]any{}, "value": 3.0, "timestamp": 1.5}}, "errorCode": ""}, ""},
		"NaN": {200, ok("vector", `[{"metric": {}, "value": [1.5, "NaN"]}]`), map[string]any{
			"n": int64(1), "value": "NaN", "series": []any{map[string]any{"labels": map[string]any{}, "value": "NaN", "timestamp": 1.5}}, "errorCode": "",
		}, ""},
		"bad query":   {400, `{"status": "error", "errorType": "bad_data", "error": "parse error"}`, map[string]any{"errorCode": "bad_data"}, "Prometheus: parse error"},
		"matrix":      {200, ok("matrix", `[]`), map[string]any{"errorCode": CodeUnreadable}, "status 200, which can't be read: " + ok("matrix", `[]`)},
		"HTML":        {200, `<html>`, map[string]any{"errorCode": CodeUnreadable}, "status 200, which can't be read: <html>"},
		"wrong types": {200, ok("vector", `[{"metric": 1, "value": ["x", 1]}]`), map[string]any{"errorCode": CodeUnreadable}, ""},
		"no result":   {200, ok("vector", `null`), map[string]any{"errorCode": CodeUnreadable}, ""},
		"other JSON":  {200, `[1, 2]`, map[string]any{"errorCode": CodeUnreadable}, ""},
		"500":         {500, `oops`, map[string]any{"errorCode": CodeUnreadable}, "status 500, which can't be read: oops"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, p := newAPI(t)
			component(a, "prometheus", time.Now().Add(-time.Hour))
			query := ""
			a.proxy["prometheus:9090"] = func(w http.ResponseWriter, r *http.Request) {
				query = r.URL.Query().Get("query")
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}
			o := see(t, p, lab.Probe{PromQL: &lab.PromQLProbe{Query: `up{app="x"} > 1 + 2`}})
			tt.vars["status"] = int64(tt.status)
			if diff := cmp.Diff(tt.vars, o.Vars); diff != "" {
				t.Error(diff)
			}
			if tt.detail != "" && !strings.HasPrefix(tt.detail, strings.TrimSuffix(o.Detail, "…")) || query != `up{app="x"} > 1 + 2` || o.Moving != "" {
				t.Errorf("%+v for %s", o, query)
			}
		})
	}
	a, p := newAPI(t)
	if o := see(t, p, lab.Probe{PromQL: &lab.PromQLProbe{Query: "up"}}); o.Silent != "there is no Service prometheus" || o.Vars["errorCode"] != CodeNoAnswer || o.Vars["n"] != nil {
		t.Errorf("%+v", o)
	}
	component(a, "prometheus", time.Now().Add(-time.Hour))
	component(a, "predictor", time.Now().Add(-5*time.Second))
	p = New(Config{Client: p.client, Namespace: "lab-x"})
	if o := see(t, p, lab.Probe{PromQL: &lab.PromQLProbe{Query: "up"}}); !strings.HasPrefix(o.Moving, "pod predictor-0 changed ") {
		t.Errorf("%+v", o)
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	a, p := newAPI(t)
	e := trouble1(t, p, lab.Probe{Exec: &lab.ExecProbe{Argv: []string{"registry", "--json"}}})
	if e.Passing || e.Moving != "" || e.Error() != "checks run their commands in the lab's workbench, and no pod with app=workbench runs" {
		t.Errorf("%+v", e)
	}
	o := see(t, p, lab.Probe{Exec: &lab.ExecProbe{Argv: []string{"ls"}, Selector: "app=predictor"}})
	if o.Silent != "no pod with app=predictor runs" || len(o.Vars) != 0 || o.Where != "command ls" {
		t.Errorf("%+v", o)
	}
	a.add("pods", &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "workbench-x", UID: "w", Labels: map[string]string{"app": "workbench"}},
		Spec:       corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "main"}}}, Status: corev1.PodStatus{Phase: corev1.PodPending},
	})
	p = New(Config{Client: p.client, Namespace: "lab-x"})
	e = trouble1(t, p, lab.Probe{Exec: &lab.ExecProbe{Argv: []string{"registry"}}})
	if e.Moving != "Pod/workbench-x: creating containers" {
		t.Errorf("%+v", e)
	}
	if e := trouble1(t, p, lab.Probe{Exec: &lab.ExecProbe{}}); e.Passing {
		t.Error(e)
	}
	if e := trouble1(t, p, lab.Probe{Exec: &lab.ExecProbe{Argv: []string{"ls"}, Selector: "a in ("}}); e.Passing {
		t.Error(e)
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	runtime := "error executing command in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: exec: "
	for text, want := range map[string]int{
		runtime + `"regstry": executable file not found in $PATH`: 127, runtime + `"/x": stat /x: no such file or directory`: 127,
		runtime + `"/etc/passwd": permission denied`: 126,
	} {
		if code, err := exitCode(errors.New(text)); err != nil || code != want {
			t.Errorf("%d, %v", code, err)
		}
	}
	if code, err := exitCode(&kube.ExitError{Code: 3}); err != nil || code != 3 {
		t.Errorf("%d, %v", code, err)
	}
	if code, err := exitCode(nil); err != nil || code != 0 {
		t.Errorf("%d, %v", code, err)
	}
	if _, err := exitCode(errors.New("websocket: close 1006")); err == nil {
		t.Error("plumbing has no exit code")
	}
	h, l := &head{max: 5}, &tail{max: 5}
	for _, s := range []string{"abc", "def", "ghi"} {
		_, _ = h.Write([]byte(s))
		_, _ = l.Write([]byte(s))
	}
	if text, whole := h.text(); text != "abcde" || whole || l.text() != "efghi" {
		t.Error(text, whole, l.text())
	}
}
