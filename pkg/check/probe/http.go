package probe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/pkg/lab"
)

const (
	// maxBody is how much of an answer is read.
	maxBody = 1 << 20
	// maxNesting is how deep JSON may be nested; deeper is rubbish.
	maxNesting = 200
)

// question is a request to a Service of the lab.
type question struct {
	service string
	port    int
	method  string
	path    string
	headers map[string]string
	body    []byte
}

// answer is what came back. A status of 0 is none: silent says why.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    string // why the body is not whole
	silent string
}

func (p *Prober) http(ctx context.Context, spec *lab.HTTPProbe) (Observation, error) {
	q := question{
		service: spec.Service, port: spec.Port, method: cmp.Or(spec.Method, http.MethodGet), path: cmp.Or(spec.Path, "/"),
		headers: spec.Headers, body: []byte(spec.Body),
	}
	if spec.BodyFile != "" {
		content, err := fs.ReadFile(p.files, spec.BodyFile)
		if err != nil {
			return Observation{}, lasting(fmt.Errorf("read the body of the request: %w", err), "This is a mistake in the lab: labctl lint.")
		}
		q.body = content
	}
	look, err := p.look(ctx)
	if err != nil {
		return Observation{}, err
	}
	a, err := p.ask(ctx, q)
	if err != nil {
		return Observation{}, err
	}
	headers := make(map[string]any, len(a.header))
	for name, values := range a.header {
		if name == "Audit-Id" {
			continue // the API server's
		}
		headers[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "?")
	}
	o := Observation{
		Vars: map[string]any{
			"status": int64(a.status), "headers": headers, "body": strings.ToValidUTF8(string(a.body), "\uFFFD"), "json": a.json(),
		},
		Silent: a.silent, Detail: a.cut,
	}
	o.settle(look.Service(spec.Service))
	return o, nil
}

// json gives the body as JSON, and nil when it is none.
func (a answer) json() any {
	if a.cut != "" {
		return nil
	}
	return parse(a.body)
}

// parse reads exactly one JSON value; nil stands for everything else.
func parse(text []byte) any {
	depth, deepest, quoted, escaped := 0, 0, false, false
	for _, c := range text {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[', c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']', c == '}':
			depth--
		}
	}
	var v any
	if deepest > maxNesting || json.Unmarshal(text, &v) != nil {
		return nil
	}
	return v
}

// ask sends a request through the API server. Only the API server's own
// trouble is an error.
func (p *Prober) ask(ctx context.Context, q question) (answer, error) {
	transport, err := p.transport()
	if err != nil {
		return answer{}, trouble(err)
	}
	limit := p.patience
	if end, ok := ctx.Deadline(); ok {
		// The rest is for finding out who is to blame.
		limit = min(limit, time.Until(end)*4/5)
	}
	asked, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(asked, q.method, p.proxied(q), bytes.NewReader(q.body))
	if err != nil {
		return answer{}, lasting(err, "This is a mistake in the lab: labctl lint.")
	}
	for name, value := range q.headers {
		req.Header.Set(name, value)
	}
	// The API server hands the Host on. Components that check theirs know this
	// one from port-forwards.
	req.Host = net.JoinHostPort("localhost", strconv.Itoa(q.port))
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return p.unanswered(ctx, q, limit, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	a := answer{status: resp.StatusCode, header: resp.Header, body: body}
	switch {
	case err != nil && asked.Err() != nil:
		return p.unanswered(ctx, q, limit, err)
	case err != nil:
		a.cut = "the answer broke off: " + err.Error()
	case len(body) > maxBody:
		a.body, a.cut = body[:maxBody], "only the first MiB of the answer was read"
	}
	if a.status >= http.StatusBadRequest && len(body) == 0 {
		// An API server that has only just started knows no paths yet.
		if err := p.client.Ping(ctx); err != nil {
			return answer{}, trouble(err)
		}
	}
	return judgeProxy(q, a)
}

// proxied is the address of a Service behind the API server's proxy.
func (p *Prober) proxied(q question) string {
	u := p.client.Clientset.CoreV1().RESTClient().Get().Namespace(p.namespace).Resource("services").
		Name(fmt.Sprintf("%s:%d", q.service, q.port)).SubResource("proxy").URL()
	path, query, _ := strings.Cut(q.path, "?")
	if unescaped, err := url.PathUnescape(path); err == nil {
		u.RawPath, u.Path = u.EscapedPath()+path, u.Path+unescaped
	} else {
		u.Path += path
	}
	u.RawQuery = query
	return u.String()
}

// unanswered finds out who did not answer: the component, or the API server.
func (p *Prober) unanswered(ctx context.Context, q question, limit time.Duration, err error) (answer, error) {
	if ctx.Err() != nil {
		return answer{}, context.Cause(ctx)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return answer{}, trouble(fmt.Errorf("ask %s through the API server: %w", q.service, err))
	}
	if ping := p.client.Ping(ctx); ping != nil {
		return answer{}, trouble(ping)
	}
	return answer{silent: fmt.Sprintf("Service %s:%d does not answer within %s", q.service, q.port, limit.Round(time.Second))}, nil
}

// judgeProxy tells answers of the API server from those of the component.
func judgeProxy(q question, a answer) (answer, error) {
	if a.status < http.StatusBadRequest {
		return a, nil
	}
	var s metav1.Status
	_ = json.Unmarshal(a.body, &s) // what is no JSON is no Status either
	if s.Kind != "Status" || s.APIVersion != "v1" {
		return a, nil
	}
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError:
		return answer{}, trouble(fmt.Errorf("ask %s through the API server: %w", q.service, &apierrors.StatusError{ErrStatus: s}))
	case http.StatusNotFound, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return answer{silent: silence(q, s.Message)}, nil
	default:
		return answer{}, trouble(&apierrors.StatusError{ErrStatus: s})
	}
}

var noPort = regexp.MustCompile(`no service port`)

// silence says in plain words why a component does not answer.
func silence(q question, message string) string {
	message = strings.TrimSpace(message)
	at := fmt.Sprintf("Service %s:%d does not answer: ", q.service, q.port)
	switch {
	case strings.Contains(message, "not found"):
		return "there is no Service " + q.service
	case noPort.MatchString(message):
		return fmt.Sprintf("Service %s has no port %d", q.service, q.port)
	case strings.Contains(message, "no endpoints available"):
		return at + "no pod behind it is ready"
	case strings.Contains(message, "connection refused"):
		return at + "connection refused"
	}
	parts := strings.Split(message, ": ")
	if n := len(parts); n > 2 {
		parts = parts[n-2:]
	}
	return at + short(strings.Join(parts, ": "))
}
