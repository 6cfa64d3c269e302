package release

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const workloads = `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  template:
    spec:
      initContainers:
        - {name: big, image: b:1, resources: {requests: {cpu: 500m, memory: 10Mi}}}
      containers:
        - {name: a, image: a:1, resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}}
        - {name: b, image: b:1, resources: {requests: {cpu: 100m, memory: 64Mi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  template:
    spec:
      containers: [{name: c, image: c:1, resources: {requests: {cpu: "1", memory: 1Gi}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: off}
spec:
  replicas: 0
  template:
    spec:
      containers: [{name: d, image: d:1, resources: {requests: {cpu: "1", memory: 1Gi}}}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: job}
spec:
  parallelism: 2
  template:
    spec:
      containers: [{name: e, image: e:1, resources: {requests: {cpu: 10m, memory: 1Mi}, limits: {memory: 2Mi}}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers: [{name: e, image: e:1, resources: {requests: {cpu: 10m, memory: 1Mi}}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: nothing}
`

func TestUsage(t *testing.T) {
	t.Parallel()
	objects, err := parse(workloads, "ns")
	if err != nil {
		t.Fatal(err)
	}
	m := Manifests{Objects: objects}
	const mi = 1 << 20
	pods, err := m.Pods()
	if err != nil {
		t.Fatal(err)
	}
	want := Usage{
		Requests: Resources{CPUMilli: 3*500 + 1000, MemoryBytes: (3*128 + 1024) * mi},
		Limits:   Resources{MemoryBytes: 3 * 128 * mi},
	}
	if diff := cmp.Diff(want, pods); diff != "" {
		t.Error(diff)
	}
	jobs, err := m.Jobs()
	if err != nil {
		t.Fatal(err)
	}
	want = Usage{Requests: Resources{CPUMilli: 30, MemoryBytes: 3 * mi}, Limits: Resources{MemoryBytes: 4 * mi}}
	if diff := cmp.Diff(want, jobs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a:1", "b:1", "c:1", "d:1", "e:1"}, m.Images()); diff != "" {
		t.Error(diff)
	}
}

func TestUsageOfABrokenObject(t *testing.T) {
	t.Parallel()
	objects, err := parse("kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web}\nspec: {replicas: three, template: {spec: {}}}\n", "ns")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Manifests{Objects: objects}).Pods(); err == nil {
		t.Error("no error")
	}
}
