package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
)

// ServiceTransport gives a RoundTripper that reaches a Service through the API
// server, with no open port. Of a request's URL only path and query count. The
// API server takes the Authorization header for itself, so the Service never
// sees one; and it hands the Host on unchanged, so it is set to localhost, which
// servers that check it allow.
func (c *Client) ServiceTransport(namespace, service string, port int32) (http.RoundTripper, error) {
	base, _, err := rest.DefaultServerUrlFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	rt, err := rest.TransportFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	number := strconv.Itoa(int(port))
	prefix := path.Join("/", base.Path, "api/v1/namespaces", namespace, "services", service+":"+number, "proxy")
	return serviceTransport{base: base, prefix: prefix, host: "localhost:" + number, next: rt}, nil
}

type serviceTransport struct {
	base   *url.URL
	prefix string
	host   string
	next   http.RoundTripper
}

func (t serviceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = t.host
	r.URL.Scheme, r.URL.Host = t.base.Scheme, t.base.Host
	suffix := "/" + strings.TrimPrefix(r.URL.EscapedPath(), "/")
	r.URL.RawPath = t.prefix + suffix
	r.URL.Path = t.prefix + "/" + strings.TrimPrefix(r.URL.Path, "/")
	return t.next.RoundTrip(r)
}

// maxBody bounds what ServiceGet reads.
const maxBody = 8 << 20

// ServiceGet gets a path from a Service through the API server.
func (c *Client) ServiceGet(ctx context.Context, namespace, service string, port int32, pathAndQuery string) (status int, body []byte, err error) {
	rt, err := c.ServiceTransport(namespace, service, port)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://service/"+strings.TrimPrefix(pathAndQuery, "/"), nil)
	if err != nil {
		return 0, nil, fmt.Errorf("get %s from service %s: %w", pathAndQuery, service, err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, nil, fmt.Errorf("get %s from service %s: %w", pathAndQuery, service, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return 0, nil, fmt.Errorf("get %s from service %s: %w", pathAndQuery, service, err)
	}
	return resp.StatusCode, body, nil
}
