package restore

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/pkg/kube"
)

func set(o *Object, value string, path ...string) {
	if err := unstructured.SetNestedField(o.Object, value, path...); err != nil {
		panic(err)
	}
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == s })
}

func dump(o *Object) string {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func parse(t *testing.T, text string) *Object {
	t.Helper()
	o := &Object{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestReplacement(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ manifest, live, want string }{
		"what others added goes": {
			manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {app: x}}, data: {a: one}}",
			live:     "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, uid: u, resourceVersion: '7', labels: {app: x, mine: z}, annotations: {kubectl.kubernetes.io/last-applied-configuration: z}}, data: {a: two, b: three}, immutable: true}",
			want:     "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, uid: u, resourceVersion: '7', labels: {app: x}}, data: {a: one}}",
		},
		"what controllers noted stays": {
			manifest: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, annotations: {b: c}}, spec: {replicas: 1}}",
			live:     "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, annotations: {deployment.kubernetes.io/revision: '4', x: z}, finalizers: [f]}, spec: {replicas: 3, paused: true}}",
			want:     "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, annotations: {b: c, deployment.kubernetes.io/revision: '4'}, finalizers: [f]}, spec: {replicas: 1}}",
		},
		"a Service keeps its address": {
			manifest: "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}}",
			live:     "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], type: NodePort, ports: [{port: 2}]}}",
			want:     "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ports: [{port: 1}]}}",
		},
		"unless the chart gives one": {
			manifest: "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None}}",
			live:     "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, selector: {a: b}}}",
			want:     "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None}}",
		},
		"a claim is what it is": {
			manifest: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {size: 1}}",
			live:     "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {pv.kubernetes.io/bind-completed: 'yes'}}, spec: {size: 1, volumeName: v}}",
			want:     "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, annotations: {pv.kubernetes.io/bind-completed: 'yes'}}, spec: {size: 1, volumeName: v}}",
		},
		"an account keeps its tokens": {
			manifest: "{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}}",
			live:     "{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, secrets: [{name: t}], imagePullSecrets: [{name: p}]}",
			want:     "{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, secrets: [{name: t}]}",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manifest := parse(t, tt.manifest)
			before := dump(manifest)
			got := replacement(manifest, parse(t, tt.live))
			if diff := cmp.Diff(parse(t, tt.want).Object, got.Object); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if dump(manifest) != before {
				t.Error("the manifest was changed")
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	o := parse(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  template:
    spec:
      initContainers:
        - envFrom: [{secretRef: {name: s1}}, {configMapRef: {name: c1}}]
      containers:
        - env:
            - {name: A, valueFrom: {secretKeyRef: {name: s2, key: k}}}
            - {name: B, valueFrom: {configMapKeyRef: {name: c2, key: k}}}
            - {name: C, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      volumes:
        - {name: v1, secret: {secretName: s3}}
        - {name: v2, configMap: {name: c3}}
        - {name: v3, projected: {sources: [{secret: {name: s4}}, {configMap: {name: c4}}]}}
        - {name: v4, emptyDir: {}}
`)
	var names []string
	for _, k := range config(o) {
		names = append(names, k.String())
	}
	slices.Sort(names)
	want := []string{"configmap/c1", "configmap/c2", "configmap/c3", "configmap/c4", "secret/s1", "secret/s2", "secret/s3", "secret/s4"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(config(object("v1", "Service", "s", nil))) > 0 {
		t.Error("a Service reads something")
	}
}

func TestSeedJob(t *testing.T) {
	t.Parallel()
	const spec = "spec: {template: {spec: {initContainers: [{name: i}], containers: [{name: c, env: [{name: A, value: b}, {name: LABCTL_RESET, value: '0'}]}]}}}}"
	plain := parse(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, "+spec)
	if diff := cmp.Diff(plain.Object, seedJob(plain).Object); diff != "" {
		t.Errorf("a Job that is no seed was changed:\n%s", diff)
	}
	seed := parse(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: a, labels: {labctl.dev/seed: 'true'}}, "+spec)
	want := parse(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: a, labels: {labctl.dev/seed: 'true'}}, spec: {template: {spec: {initContainers: [{name: i, env: [{name: LABCTL_RESET, value: '1'}]}], containers: [{name: c, env: [{name: A, value: b}, {name: LABCTL_RESET, value: '1'}]}]}}}}")
	if diff := cmp.Diff(want.Object, seedJob(seed).Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestForeign: what is the learner's, and what is not.
func TestForeign(t *testing.T) {
	t.Parallel()
	item := func(apiVersion, kind, name string, born int, owner string, labels map[string]string) kube.Item {
		i := itemOf(object(apiVersion, kind, name, nil))
		i.UID, i.Created, i.Owner, i.Labels = types.UID(name), day(born).Time, types.UID(owner), labels
		return i
	}
	items := []kube.Item{
		item("apps/v1", "Deployment", "mlflow", 2, "", nil),
		item("apps/v1", "ReplicaSet", "mlflow-1", 2, "mlflow", nil),
		item("v1", "Pod", "mlflow-1-x", 5, "mlflow-1", nil),
		item("v1", "Secret", "sh.helm.release.v1.x.v1", 2, "", map[string]string{"owner": "helm"}),
		item("v1", "Secret", "sh.helm.release.v1.x.v2", 9, "", map[string]string{"owner": "helm"}),
		item("v1", "ConfigMap", "kube-root-ca.crt", 3, "", nil),
		item("v1", "ServiceAccount", "default", 3, "", nil),
		item("v1", "Secret", "pull-secret-of-the-instructor", 1, "", nil),
		item("rbac.authorization.k8s.io/v1", "RoleBinding", "grader", 5, "", map[string]string{KeepLabel: "true"}),
		item("v1", "Event", "e", 5, "", nil),
		item("events.k8s.io/v1", "Event", "e2", 5, "", nil),
		item("coordination.k8s.io/v1", "Lease", "l", 5, "", nil),
		item("discovery.k8s.io/v1", "EndpointSlice", "s-1", 5, "service-of-mine", nil),
		item("v1", "Pod", "owned-by-a-node", 5, "node", nil),
		item("v1", "ConfigMap", "circle-a", 5, "circle-b", nil),
		item("v1", "ConfigMap", "circle-b", 5, "circle-a", nil),

		item("v1", "Service", "service-of-mine", 5, "", nil),
		item("batch/v1", "CronJob", "cron", 5, "", nil),
		item("batch/v1", "Job", "cron-1", 5, "cron", nil),
		item("v1", "Pod", "cron-1-x", 5, "cron-1", nil),
		item("v1", "Pod", "orphan", 5, "", nil),

		item("batch/v1", "CronJob", "retrain", 2, "", nil),
		item("batch/v1", "Job", "retrain-by-hand", 5, "retrain", nil),
		item("v1", "Pod", "retrain-by-hand-x", 5, "retrain-by-hand", nil),
		item("batch/v1", "CronJob", "of-the-instructor", 5, "", map[string]string{KeepLabel: "true"}),
		item("batch/v1", "Job", "of-the-instructor-1", 5, "of-the-instructor", nil),
	}
	release := map[Key]bool{{kindDeployment, "mlflow"}: true, {kindJob, "seed"}: true, {schema.GroupKind{Group: "batch", Kind: "CronJob"}, "retrain"}: true}
	c := newCensus(items, release)
	objects, pods := c.foreign()
	var names []string
	for _, i := range slices.Concat(objects, pods) {
		names = append(names, i.String())
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"CronJob/cron", "Job/cron-1", "Job/retrain-by-hand", "Pod/cron-1-x", "Pod/orphan", "Pod/retrain-by-hand-x", "Service/service-of-mine"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(pods) != 3 {
		t.Errorf("pods %v", pods)
	}
	if got := c.podsOf(Key{kindDeployment, "mlflow"}); len(got) != 1 || got[0].Name != "mlflow-1-x" {
		t.Errorf("pods of mlflow: %v", got)
	}
}
