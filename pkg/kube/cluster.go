package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/clientcmd/api/latest"
)

// Requests is what pods ask for.
type Requests struct {
	CPUMilli    int64
	MemoryBytes int64
}

// Requests sums up the requests of all pods of the cluster that have not ended.
func (c *Client) Requests(ctx context.Context) (Requests, error) {
	var sum Requests
	ctx, cancel := request(ctx)
	defer cancel()
	pods, err := c.Clientset.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "status.phase!=Succeeded,status.phase!=Failed"})
	if err != nil {
		return sum, fmt.Errorf("list pods: %w", err)
	}
	for _, pod := range pods.Items {
		for _, container := range pod.Spec.Containers {
			sum.CPUMilli += container.Resources.Requests.Cpu().MilliValue()
			sum.MemoryBytes += container.Resources.Requests.Memory().Value()
		}
	}
	return sum, nil
}

// ListNamespaces gives the namespaces that have a label, sorted by name.
func (c *Client) ListNamespaces(ctx context.Context, label string) ([]corev1.Namespace, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	list, err := c.Clientset.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: label})
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	return list.Items, nil
}

// ServerVersion gives the version of Kubernetes, as v1.37.2.
func (c *Client) ServerVersion(ctx context.Context) (string, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	raw, err := c.Clientset.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return "", fmt.Errorf("read the version: %w", err)
	}
	return v.GitVersion, nil
}

// Minify gives the part of a kubeconfig file that one context needs, with
// certificates and keys inside. Empty path and context mean what kubectl would
// use.
func Minify(path, context string) ([]byte, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}).RawConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if context != "" {
		cfg.CurrentContext = context
	}
	if err := clientcmdapi.MinifyConfig(&cfg); err != nil {
		return nil, fmt.Errorf("find context %q: %w", cfg.CurrentContext, err)
	}
	if err := clientcmdapi.FlattenConfig(&cfg); err != nil {
		return nil, fmt.Errorf("read the credentials of context %q: %w", cfg.CurrentContext, err)
	}
	raw, err := runtime.Encode(latest.Codec, &cfg)
	if err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	return raw, nil
}

// Locate gives the absolute path of the kubeconfig file that holds a context,
// and the context's name. Empty path and context mean what kubectl would use.
func Locate(path, context string) (file, name string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	cfg, err := rules.Load()
	if err != nil {
		return "", "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	if context == "" {
		context = cfg.CurrentContext
	}
	c, ok := cfg.Contexts[context]
	if !ok {
		return "", "", fmt.Errorf("there is no context %q in the kubeconfig", context)
	}
	file, err = filepath.Abs(c.LocationOfOrigin)
	if err != nil {
		return "", "", fmt.Errorf("find the kubeconfig: %w", err)
	}
	return file, context, nil
}

// DefaultFile is the kubeconfig that kubectl writes to.
func DefaultFile() string { return clientcmd.NewDefaultPathOptions().GetDefaultFilename() }
