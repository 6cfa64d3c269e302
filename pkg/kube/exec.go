package kube

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // client-go's dialers return its types
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// ExitError is a command that ran in a pod and failed.
type ExitError struct {
	Command string
	Code    int
}

func (e *ExitError) Error() string { return fmt.Sprintf("%s: exit status %d", e.Command, e.Code) }

// Size is a terminal's size.
type Size struct{ Width, Height uint16 }

// Exec says what to run in a pod.
type Exec struct {
	Namespace string
	Pod       string // or Selector
	Selector  string // the best running pod that matches
	Container string // empty means the pod's default
	Command   []string
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer // not used with TTY, where there is one stream
	// TTY gives the command a terminal; the caller has put its own into raw
	// mode. Sizes (may be nil) sends its sizes, the first at once.
	TTY   bool
	Sizes <-chan Size
}

// Exec runs a command in a pod to its end. A command that fails is *ExitError.
func (c *Client) Exec(ctx context.Context, e Exec) error {
	pod, err := c.pick(ctx, e.Namespace, e.Pod, e.Selector)
	if err != nil {
		return err
	}
	req := c.Clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: e.Container, Command: e.Command, TTY: e.TTY,
			Stdin: e.Stdin != nil, Stdout: e.Stdout != nil, Stderr: e.Stderr != nil && !e.TTY,
		}, scheme.ParameterCodec)
	old, err := remotecommand.NewSPDYExecutor(c.Config, "POST", req.URL())
	if err != nil {
		return fmt.Errorf("run a command in pod %s: %w", pod.Name, err)
	}
	ws, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", req.URL().String())
	if err != nil {
		return fmt.Errorf("run a command in pod %s: %w", pod.Name, err)
	}
	executor, err := remotecommand.NewFallbackExecutor(ws, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return fmt.Errorf("run a command in pod %s: %w", pod.Name, err)
	}
	opts := remotecommand.StreamOptions{Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr, Tty: e.TTY}
	if e.TTY {
		opts.Stderr = nil
		if e.Sizes != nil {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			opts.TerminalSizeQueue = sizeQueue{ctx.Done(), e.Sizes}
		}
	}
	err = executor.StreamWithContext(ctx, opts)
	var exit utilexec.CodeExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return &ExitError{Command: e.Command[0], Code: exit.Code}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("run %s in pod %s: %w", e.Command[0], pod.Name, err)
	}
}

// sizeQueue hands terminal sizes to client-go, which asks for the next until it
// gets nil.
type sizeQueue struct {
	done  <-chan struct{}
	sizes <-chan Size
}

func (q sizeQueue) Next() *remotecommand.TerminalSize {
	select {
	case s, ok := <-q.sizes:
		if !ok {
			return nil
		}
		return &remotecommand.TerminalSize{Width: s.Width, Height: s.Height}
	case <-q.done:
		return nil
	}
}
