package release

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	podresource "k8s.io/component-helpers/resource"
)

// Resources is an amount of CPU and memory.
type Resources struct {
	CPUMilli    int64
	MemoryBytes int64
}

// Usage is what pods ask for and what they may take at most. A container
// without a limit adds nothing to the limits.
type Usage struct {
	Requests Resources
	Limits   Resources
}

// Pods sums up the pods that stay, with their replicas.
func (m Manifests) Pods() (Usage, error) { return m.usage(false) }

// Jobs sums up the pods of Jobs and CronJobs, as if all ran at once.
func (m Manifests) Jobs() (Usage, error) { return m.usage(true) }

func (m Manifests) usage(jobs bool) (Usage, error) {
	var sum Usage
	for _, o := range m.Objects {
		w, err := workloadOf(o)
		if err != nil {
			return Usage{}, err
		}
		if w == nil || w.job != jobs {
			continue
		}
		pod := &corev1.Pod{Spec: w.pod}
		sum.Requests.add(podresource.PodRequests(pod, podresource.PodResourcesOptions{}), w.replicas)
		sum.Limits.add(podresource.PodLimits(pod, podresource.PodResourcesOptions{}), w.replicas)
	}
	return sum, nil
}

func (r *Resources) add(list corev1.ResourceList, times int64) {
	r.CPUMilli += list.Cpu().MilliValue() * times
	r.MemoryBytes += list.Memory().Value() * times
}

// workload is an object that runs pods.
type workload struct {
	pod      corev1.PodSpec
	replicas int64
	job      bool
}

// workloadOf gives nil for an object that runs no pods.
func workloadOf(o Object) (*workload, error) {
	var spec, count []string
	job := false
	switch o.GetKind() {
	case "Pod":
		spec = []string{"spec"}
	case "Deployment", "StatefulSet", "ReplicaSet", "DaemonSet":
		spec, count = []string{"spec", "template", "spec"}, []string{"spec", "replicas"}
	case "Job":
		spec, count, job = []string{"spec", "template", "spec"}, []string{"spec", "parallelism"}, true
	case "CronJob":
		spec, job = []string{"spec", "jobTemplate", "spec", "template", "spec"}, true
	default:
		return nil, nil //nolint:nilnil // most objects run no pods
	}
	fail := func(err error) error {
		return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	raw, _, err := unstructured.NestedMap(o.Object, spec...)
	if err != nil {
		return nil, fail(err)
	}
	w := &workload{replicas: 1, job: job}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &w.pod); err != nil {
		return nil, fail(err)
	}
	if n, found, err := unstructured.NestedInt64(o.Object, count...); len(count) > 0 && (found || err != nil) {
		if err != nil {
			return nil, fail(err)
		}
		w.replicas = n
	}
	return w, nil
}
