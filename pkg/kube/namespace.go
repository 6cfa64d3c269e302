package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"labctl.dev/labctl/pkg/clierr"
)

// Namespace gives a namespace, or nil when there is none of that name.
func (c *Client) Namespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	ns, err := c.Clientset.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get namespace %s: %w", name, err)
	}
	return ns, nil
}

// EnsureNamespace makes a namespace with labels and annotations and tells
// whether it was it that made it. One that exists is left as it is; one that is
// being deleted is waited for first.
func (c *Client) EnsureNamespace(ctx context.Context, name string, labels, annotations map[string]string) (created bool, err error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: maps.Clone(labels), Annotations: maps.Clone(annotations)}}
	for {
		err = c.createNamespace(ctx, ns)
		if err == nil {
			return true, nil
		}
		// Who has rights in one namespace only is told that making it is forbidden,
		// whether or not it is there.
		if !apierrors.IsAlreadyExists(err) && !apierrors.IsForbidden(err) {
			return false, fmt.Errorf("make namespace %s: %w", name, err)
		}
		old, look := c.Namespace(ctx, name)
		if look != nil {
			return false, look
		}
		if old == nil && apierrors.IsForbidden(err) {
			return false, fmt.Errorf("make namespace %s: %w", name, err)
		}
		if old != nil && old.DeletionTimestamp == nil {
			return false, nil
		}
		if old != nil {
			if err := c.waitNamespaceGone(ctx, old, nil); err != nil {
				return false, err
			}
		}
	}
}

func (c *Client) createNamespace(ctx context.Context, ns *corev1.Namespace) error {
	ctx, cancel := request(ctx)
	defer cancel()
	_, err := c.Clientset.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	return err
}

// AnnotateNamespace sets annotations on a namespace; an empty value removes one.
func (c *Client) AnnotateNamespace(ctx context.Context, name string, annotations map[string]string) error {
	set := make(map[string]any, len(annotations))
	for k, v := range annotations {
		set[k] = v
		if v == "" {
			set[k] = nil
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": set}})
	if err != nil {
		return fmt.Errorf("encode annotations: %w", err)
	}
	ctx, cancel := request(ctx)
	defer cancel()
	if _, err := c.Clientset.CoreV1().Namespaces().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("annotate namespace %s: %w", name, err)
	}
	return nil
}

// goneTime bounds the wait for a namespace to go: what has not gone by then
// waits for somebody.
const goneTime = 5 * time.Minute

var errStuck = errors.New("it is still there")

// DeleteNamespace removes a namespace and waits until it is gone, for a few
// minutes. progress (may be nil) gets what it still waits for. Nothing is
// forced: finalizers are somebody's promise to clean up.
func (c *Client) DeleteNamespace(ctx context.Context, name string, progress func(msg string)) error {
	ns, err := c.Namespace(ctx, name)
	if err != nil || ns == nil {
		return err
	}
	// The UID keeps a namespace of the same name that was made meanwhile.
	opts := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ns.UID}}
	once, cancel := request(ctx)
	defer cancel()
	err = c.Clientset.CoreV1().Namespaces().Delete(once, name, opts)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil && !apierrors.IsConflict(err):
		return fmt.Errorf("remove namespace %s: %w", name, err)
	}
	return c.waitNamespaceGone(ctx, ns, progress)
}

func (c *Client) waitNamespaceGone(ctx context.Context, ns *corev1.Namespace, progress func(string)) error {
	last := ""
	ctx, cancel := context.WithTimeoutCause(ctx, goneTime, errStuck)
	defer cancel()
	for {
		done, err := c.watchNamespace(ctx, ns, func(now *corev1.Namespace) {
			msg := remaining(now)
			if progress != nil && msg != "" && msg != last {
				progress(msg)
			}
			last = msg
		})
		if done {
			return nil
		}
		if errors.Is(context.Cause(ctx), errStuck) {
			return stuck(ns.Name, last)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for namespace %s to go: %w", ns.Name, stillThere(context.Cause(ctx), last))
		}
		if err != nil {
			return fmt.Errorf("wait for namespace %s to go: %w", ns.Name, err)
		}
	}
}

// stuck is the error of a namespace that does not go.
func stuck(name, last string) error {
	hint := "It goes on going by itself; run the command again to wait on."
	if last != "" {
		hint += " If a finalizer holds it, the controller that set it must run."
	}
	return &clierr.Error{
		Op: "remove namespace " + name, Err: fmt.Errorf("after %s: %w", goneTime, stillThere(errStuck, last)), ID: "namespace-stuck",
		Hint: hint + " More: kubectl describe namespace " + name,
	}
}

func stillThere(err error, last string) error {
	if last == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, last)
}

// watchNamespace watches until the namespace is gone or the API server ends
// the watch, as it does every few minutes.
func (c *Client) watchNamespace(ctx context.Context, ns *corev1.Namespace, seen func(*corev1.Namespace)) (gone bool, err error) {
	w, err := c.Clientset.CoreV1().Namespaces().Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, ns.Name).String(),
	})
	if err != nil {
		return false, err
	}
	defer w.Stop()
	// It may have gone before the watch began.
	now, err := c.Namespace(ctx, ns.Name)
	if err != nil || now == nil || now.UID != ns.UID {
		return err == nil, err
	}
	seen(now)
	// A watch need not notice the end of ctx while the API server is silent.
	defer context.AfterFunc(ctx, w.Stop)()
	for e := range w.ResultChan() {
		now, ok := e.Object.(*corev1.Namespace)
		switch {
		case e.Type == watch.Deleted:
			return true, nil
		case ok && now.Name == ns.Name && now.UID != ns.UID:
			return true, nil
		case ok && now.Name == ns.Name:
			seen(now)
		}
	}
	return false, nil
}

// remaining says what keeps a namespace from going.
func remaining(ns *corev1.Namespace) string {
	for _, want := range []corev1.NamespaceConditionType{
		corev1.NamespaceDeletionDiscoveryFailure, corev1.NamespaceDeletionGVParsingFailure,
		corev1.NamespaceFinalizersRemaining, corev1.NamespaceContentRemaining, corev1.NamespaceDeletionContentFailure,
	} {
		for _, cond := range ns.Status.Conditions {
			if cond.Type == want && cond.Status == corev1.ConditionTrue {
				return cond.Message
			}
		}
	}
	return ""
}
