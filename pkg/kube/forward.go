package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // client-go's dialers return its types
	"k8s.io/apimachinery/pkg/util/intstr"

	"labctl.dev/labctl/pkg/clierr"
)

const (
	// podWait is how long a connection is held open for a pod to become ready.
	podWait = 60 * time.Second
	// dialTries covers a pod that goes between being picked and being dialled.
	dialTries = 3
)

// Forward says what to forward.
type Forward struct {
	Namespace string
	Service   string // its pods are used, and Port is one of its ports
	Port      int32
	// LocalPort on 127.0.0.1; 0 picks a free one.
	LocalPort int
	// OnReady is called once, when the port is open and a pod is ready.
	OnReady func(localPort int)
	// OnEvent (may be nil) is told when the pod goes and when another took its
	// place, and when the cluster goes and comes back; one message at a time.
	OnEvent func(msg string)
}

// PortForward opens a port on 127.0.0.1 that leads to a Service's pods, until
// ctx ends. The port stays open while pods come and go, so that its URL stays
// valid: each connection goes to a pod that is ready at that moment.
func (c *Client) PortForward(ctx context.Context, f Forward) error {
	once, done := request(ctx)
	defer done()
	svc, err := c.Clientset.CoreV1().Services(f.Namespace).Get(once, f.Service, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("look for service %s: %w", f.Service, err)
	}
	port, err := servicePort(svc, f.Port)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pods, err := c.watchPods(ctx, f.Namespace, labels.SelectorFromSet(svc.Spec.Selector))
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.LocalPort)))
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return &clierr.Error{
				Op: fmt.Sprintf("open port %d", f.LocalPort), Err: err, ID: "port-taken",
				Hint: "Another program uses it. Give another port, or none to get a free one.",
			}
		}
		return fmt.Errorf("open port %d: %w", f.LocalPort, err)
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	defer func() { _ = listener.Close() }()

	u := &upstream{client: c, port: port, pods: pods, event: f.OnEvent, dialling: make(chan struct{}, 1)}
	defer u.close()
	defer context.AfterFunc(ctx, u.close)() // ends what waits for the pod's answer
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // ends the connections that wg waits for
	wg.Go(func() { u.watchCluster(ctx) })
	if _, err := u.ready(ctx); err != nil {
		return err
	}
	if f.OnReady != nil {
		addr, _ := listener.Addr().(*net.TCPAddr)
		f.OnReady(addr.Port)
	}
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("port %d: %w", f.LocalPort, err)
		}
		wg.Go(func() {
			if err := u.serve(ctx, conn); err != nil {
				c.log.Debug("forwarded connection ended", "service", f.Service, "error", err)
			}
		})
	}
}

func servicePort(svc *corev1.Service, port int32) (intstr.IntOrString, error) {
	if len(svc.Spec.Selector) == 0 {
		return intstr.IntOrString{}, fmt.Errorf("service %s selects no pods", svc.Name)
	}
	for _, p := range svc.Spec.Ports {
		if p.Port == port || port == 0 && len(svc.Spec.Ports) == 1 {
			if p.TargetPort.Type == intstr.Int && p.TargetPort.IntVal == 0 {
				return intstr.FromInt32(p.Port), nil
			}
			return p.TargetPort, nil
		}
	}
	return intstr.IntOrString{}, fmt.Errorf("service %s has no port %d", svc.Name, port)
}

// containerPort resolves the name of a port in a pod.
func containerPort(p *corev1.Pod, port intstr.IntOrString) (int32, error) {
	if port.Type == intstr.Int {
		return port.IntVal, nil
	}
	for _, c := range p.Spec.Containers {
		for _, cp := range c.Ports {
			if cp.Name == port.StrVal {
				return cp.ContainerPort, nil
			}
		}
	}
	return 0, fmt.Errorf("pod %s has no port named %s", p.Name, port.StrVal)
}

// upstream keeps one connection to the pod in use and makes a new one when the
// pod is replaced.
type upstream struct {
	client *Client
	port   intstr.IntOrString
	pods   *pods
	event  func(string)

	telling  sync.Mutex
	dialling chan struct{} // held by the one who makes a new connection
	failing  bool          // the last dial failed; belongs to the holder of dialling
	mu       sync.Mutex    // never held over a request
	pod      *corev1.Pod
	conn     httpstream.Connection
	request  int
}

func (u *upstream) tell(format string, args ...any) {
	u.telling.Lock()
	defer u.telling.Unlock()
	if u.event != nil {
		u.event(fmt.Sprintf(format, args...))
	}
}

// ready waits for a pod that may be used: a ready one, or the one in use while
// it only fails its probe.
func (u *upstream) ready(ctx context.Context) (*corev1.Pod, error) {
	said := false
	for {
		u.mu.Lock()
		now := u.pod
		u.mu.Unlock()
		list := u.pods.all()
		for _, p := range list {
			if podReady(p) || now != nil && p.UID == now.UID && p.Status.Phase == corev1.PodRunning {
				return p, nil
			}
		}
		if !said {
			said = true
			text := "there is none"
			if len(list) > 0 {
				j := newJudge()
				j.begin(u.client.now())
				text = list[0].Name + ": " + j.pod(list[0], nil).message
			}
			u.tell("waiting for a pod to become ready (%s)", text)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-u.pods.changed:
			// Others may wait for the same change.
			select {
			case u.pods.changed <- struct{}{}:
			default:
			}
			if err := pause(ctx); err != nil {
				return nil, err
			}
		}
	}
}

// pause keeps several waiters from spinning on one change.
func pause(ctx context.Context) error {
	t := time.NewTimer(settle)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// serve carries one connection.
func (u *upstream) serve(ctx context.Context, local net.Conn) error {
	defer func() { _ = local.Close() }()
	wait, cancel := context.WithTimeout(ctx, podWait)
	defer cancel()
	var data, fault httpstream.Stream
	var conn httpstream.Connection
	var err error
	for range dialTries {
		if conn, data, fault, err = u.open(wait); err == nil || wait.Err() != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	defer conn.RemoveStreams(data, fault)
	defer func() { _ = data.Reset() }()
	defer context.AfterFunc(ctx, func() { _ = local.Close(); _ = data.Reset() })()

	failed := make(chan error, 1)
	go func() {
		text, err := io.ReadAll(fault)
		if err == nil && len(text) > 0 {
			err = errors.New(string(text))
			// The pod refused the port: nothing will come on data.
			_ = local.Close()
		}
		failed <- err
	}()
	received := make(chan struct{})
	go func() {
		defer close(received)
		_, _ = io.Copy(local, data)
		if tcp, ok := local.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	_, sendErr := io.Copy(data, local)
	_ = data.Close() // tells the pod that no more will come
	if sendErr != nil {
		return fmt.Errorf("send to pod: %w", sendErr)
	}
	select {
	case <-received:
	case <-conn.CloseChan():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-failed:
		return err
	case <-conn.CloseChan():
	case <-ctx.Done():
	}
	return nil
}

// open makes the two streams of one forwarded connection.
func (u *upstream) open(ctx context.Context) (httpstream.Connection, httpstream.Stream, httpstream.Stream, error) {
	pod, err := u.ready(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	port, err := containerPort(pod, u.port)
	if err != nil {
		return nil, nil, nil, err
	}
	conn, request, err := u.connection(ctx, pod)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("connect to pod %s: %w", pod.Name, err)
	}
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(request))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	fault, err := conn.CreateStream(headers)
	if err == nil {
		_ = fault.Close() // we only read from it
		headers.Set(corev1.StreamType, corev1.StreamTypeData)
		var data httpstream.Stream
		if data, err = conn.CreateStream(headers); err == nil {
			return conn, data, fault, nil
		}
		conn.RemoveStreams(fault)
	}
	_ = conn.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn == conn {
		u.conn = nil
	}
	return nil, nil, nil, fmt.Errorf("open a stream to pod %s: %w", pod.Name, err)
}

// connection gives the connection to a pod and a number for a request on it.
// One at a time makes a new one; the others wait for it, as long as ctx lasts.
func (u *upstream) connection(ctx context.Context, pod *corev1.Pod) (httpstream.Connection, int, error) {
	select {
	case u.dialling <- struct{}{}:
		defer func() { <-u.dialling }()
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
	u.mu.Lock()
	conn, old := u.conn, u.pod
	u.mu.Unlock()
	if conn == nil || old.UID != pod.UID || closed(conn) {
		if old != nil && old.UID != pod.UID {
			u.tell("pod %s took the place of %s", pod.Name, old.Name)
		}
		if conn != nil && closed(conn) {
			_ = conn.Close()
		}
		var err error
		if conn, err = u.client.dial(ctx, pod); err != nil {
			if !u.failing && ctx.Err() == nil {
				u.failing = true // said once, until it works again
				u.tell("can't reach pod %s, each new connection tries again (%s)", pod.Name, lastPart(err.Error()))
			}
			return nil, 0, err
		}
		u.failing = false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn, u.pod = conn, pod
	u.request++
	return conn, u.request, nil
}

func (u *upstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != nil {
		_ = u.conn.Close()
	}
}

func closed(c httpstream.Connection) bool {
	select {
	case <-c.CloseChan():
		return true
	default:
		return false
	}
}
