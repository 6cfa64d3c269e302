package kube

import (
	"context"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // client-go's dialers return its types
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"labctl.dev/labctl/pkg/clierr"
)

// dialTime bounds one try to connect to a pod.
const dialTime = 15 * time.Second

// dial connects to the port-forward endpoint of a pod: over a WebSocket, or
// SPDY where the API server or a proxy before it does not know that.
func (c *Client) dial(ctx context.Context, p *corev1.Pod) (httpstream.Connection, error) {
	rt, upgrader, err := spdy.RoundTripperFor(c.Config)
	if err != nil {
		return nil, err
	}
	url := c.Clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.Namespace).Name(p.Name).SubResource("portforward").URL()
	old := spdy.NewDialer(upgrader, &http.Client{Transport: rt}, http.MethodPost, url)
	tunnel, err := portforward.NewSPDYOverWebsocketDialer(url, c.Config)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialer(tunnel, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	conn, err := within(ctx, dialTime, func() (httpstream.Connection, error) {
		conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		return conn, err
	})
	if apierrors.IsForbidden(err) {
		return nil, clierr.Wrap(err, "forward a port", "Ask the cluster's administrator for the right to create pods/portforward.")
	}
	return conn, err
}

// within bounds a dial that takes no context. One that still succeeds after its
// time is closed.
func within(ctx context.Context, bound time.Duration, dial func() (httpstream.Connection, error)) (httpstream.Connection, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bound, errSilent)
	defer cancel()
	type result struct {
		conn httpstream.Connection
		err  error
	}
	done := make(chan result)
	go func() {
		conn, err := dial()
		select {
		case done <- result{conn, err}:
		case <-ctx.Done():
			if err == nil {
				_ = conn.Close()
			}
		}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// watchCluster says when the cluster goes away and when it is back. The port
// stays open meanwhile: a cluster that was paused comes back.
func (u *upstream) watchCluster(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for away := false; ; {
		lost := u.pods.lost
		if away {
			lost = nil
		}
		select {
		case <-ctx.Done():
			return
		case err := <-lost:
			u.client.log.Debug("watch failed", "error", err)
		case <-tick.C:
			if !away {
				continue
			}
		}
		err := u.client.Ping(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !away:
			away = true
			u.tell("the cluster does not answer, waiting for it (%s)", lastPart(err.Error()))
		case err == nil && away:
			away = false
			u.tell("the cluster answers again")
		}
	}
}
