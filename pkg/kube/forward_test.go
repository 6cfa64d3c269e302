package kube

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // client-go's dialers return its types
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"labctl.dev/labctl/pkg/clierr"
)

// conn is a connection that only knows whether it was closed.
type conn struct {
	httpstream.Connection
	gone chan bool
}

func newConn() *conn { return &conn{gone: make(chan bool)} }

func (c *conn) Close() error           { close(c.gone); return nil }
func (c *conn) CloseChan() <-chan bool { return c.gone }

func TestDialEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := newConn()
		start := time.Now()
		_, err := within(t.Context(), dialTime, func() (httpstream.Connection, error) {
			<-time.After(2 * dialTime)
			return late, nil
		})
		if !errors.Is(err, errSilent) || time.Since(start) != dialTime {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		<-late.gone // or the test hangs

		over := make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(clierr.ErrInterrupted) })
		if _, err := within(ctx, dialTime, func() (httpstream.Connection, error) {
			<-time.After(dialTime)
			defer close(over)
			return nil, errors.New("too late")
		}); !errors.Is(err, clierr.ErrInterrupted) {
			t.Errorf("interrupted: %v", err)
		}
		<-over
	})
}

// TestConnection: one that waits for the dial of another ends with its context.
func TestConnection(t *testing.T) {
	t.Parallel()
	c := newConn()
	p := &corev1.Pod{}
	p.Name, p.UID = "mlflow-1", types.UID("1")
	var events []string
	u := &upstream{dialling: make(chan struct{}, 1), conn: c, pod: p, event: func(s string) { events = append(events, s) }}
	for want := 1; want <= 2; want++ {
		if got, n, err := u.connection(t.Context(), p); err != nil || got != c || n != want {
			t.Errorf("%v, %d, %v", got, n, err)
		}
	}
	u.dialling <- struct{}{}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(clierr.ErrInterrupted)
	if _, _, err := u.connection(ctx, p); !errors.Is(err, clierr.ErrInterrupted) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string(nil), events); diff != "" {
		t.Error(diff)
	}
}

// TestClusterGoesAndComes has a watch fail for want of a cluster.
func TestClusterGoesAndComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := fakeClient(t)
		answers := &flaky{fails: 3}
		cs, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1", Transport: answers})
		if err != nil {
			t.Fatal(err)
		}
		c.Clientset = cs
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var events []string
		u := &upstream{client: c, pods: &pods{lost: make(chan error, 1)}, event: func(s string) {
			events = append(events, s)
			if len(events) == 2 {
				cancel()
			}
		}}
		u.pods.lost <- errors.New("watch failed")
		u.watchCluster(ctx)
		if len(events) != 2 || !strings.HasPrefix(events[0], "the cluster does not answer") || events[1] != "the cluster answers again" {
			t.Errorf("events %q", events)
		}
	})
}

// flaky refuses some requests, then answers.
type flaky struct{ fails int }

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.fails--; f.fails >= 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}
