package kube

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Memory is the working set of a node's pods and of the node as a whole.
type Memory struct {
	Node      int64            `json:"nodeBytes"`
	Namespace map[string]int64 `json:"namespaceBytes"`
}

// Memory adds up what kubelets measure over all nodes. It needs the right to
// nodes/proxy, which a learner on a shared cluster lacks.
func (c *Client) Memory(ctx context.Context) (Memory, error) {
	m := Memory{Namespace: make(map[string]int64)}
	nodes, err := c.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return m, fmt.Errorf("list nodes: %w", err)
	}
	for _, n := range nodes.Items {
		raw, err := c.Clientset.CoreV1().RESTClient().Get().Resource("nodes").Name(n.Name).SubResource("proxy").Suffix("stats/summary").DoRaw(ctx)
		if err != nil {
			return m, fmt.Errorf("read the statistics of node %s: %w", n.Name, err)
		}
		if err := m.add(raw); err != nil {
			return m, fmt.Errorf("read the statistics of node %s: %w", n.Name, err)
		}
	}
	return m, nil
}

// memoryStat is the part of kubelet's summary that is needed.
type memoryStat struct {
	Memory struct {
		WorkingSetBytes int64 `json:"workingSetBytes"`
	} `json:"memory"`
}

func (m *Memory) add(raw []byte) error {
	var s struct {
		Node memoryStat `json:"node"`
		Pods []struct {
			PodRef struct {
				Namespace string `json:"namespace"`
			} `json:"podRef"`
			memoryStat
		} `json:"pods"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	m.Node += s.Node.Memory.WorkingSetBytes
	for _, p := range s.Pods {
		m.Namespace[p.PodRef.Namespace] += p.Memory.WorkingSetBytes
	}
	return nil
}
