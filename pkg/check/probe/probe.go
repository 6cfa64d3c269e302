// Package probe looks at a lab: at objects of its namespace, at what its
// services answer, at its registry and metrics, and at what its tools print.
//
// It only looks. Whether what it sees is right, how often to look and what to
// say is for pkg/check; that a lab component does not answer is something that
// was seen, and only trouble on the way to the lab is an error.
package probe

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
)

// Observation is what a probe saw.
type Observation struct {
	// Vars are the CEL variables of the probe's kind, as JSON has them.
	Vars map[string]any
	// Where names what was looked at, as "Deployment/predictor".
	Where string
	// Moving says why what was looked at is not settled; empty when it is.
	Moving string
	// Hopeless says why waiting does not help; empty when it may.
	Hopeless string
	// Silent says that a component of the lab does not answer, and why.
	Silent string
	// Detail is further evidence for people, such as the end of stderr.
	Detail string
}

func (o *Observation) settle(s kube.Settling) { o.Moving, o.Hopeless = s.Moving, s.Hopeless }

// Config is what a Prober works with.
type Config struct {
	Client    *kube.Client
	Namespace string
	// Files is the lab's directory, for the bodies of requests.
	Files fs.FS
}

// Prober looks at one lab. It is safe for concurrent use.
type Prober struct {
	client    *kube.Client
	namespace string
	files     fs.FS

	examiner *kube.Examiner
	looks    looks
	// What is made at the first use; it can fail.
	objects   func() (*kube.Objects, error)
	transport func() (http.RoundTripper, error)
	// patience is how long a component of the lab may take to answer.
	patience time.Duration
}

const patience = 15 * time.Second

// New makes a Prober. It does not connect.
func New(cfg Config) *Prober {
	return &Prober{
		client: cfg.Client, namespace: cfg.Namespace, files: cfg.Files,
		examiner:  cfg.Client.Examine(cfg.Namespace),
		objects:   sync.OnceValues(func() (*kube.Objects, error) { return cfg.Client.Objects(cfg.Namespace) }),
		transport: sync.OnceValues(func() (http.RoundTripper, error) { return rest.TransportFor(cfg.Client.Config) }),
		patience:  patience,
	}
}

// Probe looks once. The error is trouble on the way to the lab, a
// *TroubleError, or the cause of a context that ended.
func (p *Prober) Probe(ctx context.Context, spec lab.Probe) (Observation, error) {
	o, err := p.probe(ctx, spec)
	o.Where = Where(spec)
	if err != nil && ctx.Err() != nil {
		return o, context.Cause(ctx)
	}
	return o, err
}

func (p *Prober) probe(ctx context.Context, spec lab.Probe) (Observation, error) {
	switch spec.Kind() {
	case lab.ProbeKube:
		return p.kube(ctx, spec.Kube)
	case lab.ProbeHTTP:
		return p.http(ctx, spec.HTTP)
	case lab.ProbePromQL:
		return p.promQL(ctx, spec.PromQL)
	case lab.ProbeMLflow:
		return p.mlflow(ctx, spec.MLflow)
	case lab.ProbeExec:
		return p.exec(ctx, spec.Exec)
	default:
		return Observation{}, &TroubleError{Err: fmt.Errorf("the probe needs exactly one kind, has %d", len(spec.Kinds()))}
	}
}

// looks shares looks at the namespace among probes that run side by side. A
// look comes before what it is for: what had come to rest before is not what
// made the probe see something else.
type looks struct {
	mu      sync.Mutex
	current *look
}

type look struct {
	begun time.Time
	done  chan struct{}
	look  *kube.Look
	err   error
}

// sharedFor is how old a look may be.
const sharedFor = 250 * time.Millisecond

func (p *Prober) look(ctx context.Context) (*kube.Look, error) {
	p.looks.mu.Lock()
	l := p.looks.current
	if l == nil || time.Since(l.begun) > sharedFor {
		l = &look{begun: time.Now(), done: make(chan struct{})}
		p.looks.current = l
		go func() {
			defer close(l.done)
			// It serves others too: the first to ask must not end it for them.
			l.look, l.err = p.examiner.Look(context.WithoutCancel(ctx))
		}()
	}
	p.looks.mu.Unlock()
	select {
	case <-l.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.err != nil {
		return nil, trouble(l.err)
	}
	return l.look, nil
}
