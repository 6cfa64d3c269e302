package release_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"labctl.dev/labctl/charts"
	"labctl.dev/labctl/images"
	"labctl.dev/labctl/labs"
	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
	"labctl.dev/labctl/pkg/release"
)

// namespaced are the kinds that a lab may have. Removing the namespace must
// remove the lab, and a learner has rights in one namespace only.
var namespaced = []string{
	"ConfigMap", "CronJob", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "LimitRange", "NetworkPolicy",
	"PersistentVolumeClaim", "Pod", "PodDisruptionBudget", "ResourceQuota", "Role", "RoleBinding", "Secret", "Service",
	"ServiceAccount", "StatefulSet",
}

// rendered is a lab with its objects.
type rendered struct {
	*lab.Lab
	release.Manifests
}

// allLabs renders every lab that comes with labctl.
func allLabs(t *testing.T) map[string]rendered {
	t.Helper()
	entries, err := catalog.New(labs.FS).List()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]rendered{}
	for _, e := range entries {
		c, err := release.Load(charts.FS, e.FS, "chart")
		if err != nil {
			t.Fatal(err)
		}
		if c.Name != e.Lab.Metadata.Name {
			t.Errorf("the chart of %s is named %s", e.Lab.Metadata.Name, c.Name)
		}
		m, err := release.Render(t.Context(), c, release.RenderOptions{
			Release: c.Name, Namespace: "lab-" + c.Name, Values: labValues(e.Lab),
		})
		if err != nil {
			t.Fatal(err)
		}
		all[c.Name] = rendered{e.Lab, m}
	}
	return all
}

// monitoringWorkbench is the image that the component workbench takes where a
// lab needs its tools.
const monitoringWorkbench = "workbench-monitoring"

// labValues are those that a lab needs to render the same text each time.
func labValues(l *lab.Lab) release.Values {
	images := map[string]string{}
	for _, name := range append(slices.Clone(l.Components), l.Metadata.Name+"-seed", monitoringWorkbench) {
		images[name] = "registry.labctl/" + name + ":1"
	}
	values := release.Values{
		"global":      map[string]any{"images": images},
		"objectstore": map[string]any{"auth": map[string]any{"accessKey": "golden", "secretKey": "golden"}},
	}
	if slices.Contains(l.Components, "postgres") {
		values["postgres"] = map[string]any{"auth": map[string]any{"password": "golden"}}
	}
	return values
}

func TestLabCharts(t *testing.T) {
	t.Parallel()
	for name, l := range allLabs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := l.YAML()
			if err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, got, "labs/"+name+".yaml")
			for _, o := range l.Objects {
				if !slices.Contains(namespaced, o.GetKind()) {
					t.Errorf("%s %s is not for a lab: only namespaced kinds are", o.GetKind(), o.GetName())
				}
				if o.GetNamespace() != "lab-"+name {
					t.Errorf("%s %s is in namespace %s", o.GetKind(), o.GetName(), o.GetNamespace())
				}
			}
		})
	}
}

// TestLabRolesAreWithinReach: nobody may grant what he has not himself, so each
// right that a lab's Roles grant must be among those that labctl asks for.
func TestLabRolesAreWithinReach(t *testing.T) {
	t.Parallel()
	for name, l := range allLabs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			may := map[kube.Right]bool{}
			for _, r := range kube.LabRights("lab-"+name, false) {
				may[r] = true
			}
			granted := 0
			for _, o := range l.Objects {
				if o.GetKind() != "Role" {
					continue
				}
				var role rbacv1.Role
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
					t.Fatal(err)
				}
				for _, r := range granting(role) {
					granted++
					if !may[r] {
						t.Errorf("Role %s grants %s, which labctl does not ask for", role.Name, r)
					}
				}
			}
			if granted == 0 {
				t.Error("no Role grants anything")
			}
		})
	}
}

// granting lists the rights of a Role one by one.
func granting(role rbacv1.Role) []kube.Right {
	var rights []kube.Right
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					rights = append(rights, kube.Right{Verb: verb, Group: group, Resource: resource, Namespace: role.Namespace})
				}
			}
		}
	}
	return rights
}

// TestLabImages holds the chart to the images that lab.yaml tells of.
func TestLabImages(t *testing.T) {
	t.Parallel()
	for name, l := range allLabs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var names []string
			for _, image := range l.Images() {
				name, _, _ := strings.Cut(path.Base(image), ":")
				if name == monitoringWorkbench {
					name = "workbench"
				}
				names = append(names, name)
			}
			slices.Sort(names)
			names = slices.Compact(names)
			want := append(slices.Clone(l.Components), l.Metadata.Name+"-seed")
			slices.Sort(want)
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("components of lab.yaml (-) and images of the chart (+) differ:\n%s", diff)
			}
		})
	}
}

func TestLabEndpoints(t *testing.T) {
	t.Parallel()
	for name, l := range allLabs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := map[string][]int64{}
			for _, o := range l.Objects {
				ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
				for _, p := range ports {
					number, _, _ := unstructured.NestedInt64(p.(map[string]any), "port")
					open[o.GetName()] = append(open[o.GetName()], number)
				}
			}
			for _, e := range l.Endpoints {
				if !slices.Contains(open[e.Service], int64(e.Port)) {
					t.Errorf("endpoint %s: Service %s has the ports %v, not %d", e.Name, e.Service, open[e.Service], e.Port)
				}
			}
		})
	}
}

func TestLabFitsItsMemory(t *testing.T) {
	t.Parallel()
	// The control plane and the page cache, measured without a lab.
	const nodeMi = 1000
	for name, l := range allLabs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pods, err := l.Pods()
			if err != nil {
				t.Fatal(err)
			}
			if mi := pods.Requests.MemoryBytes >> 20; mi == 0 || mi+nodeMi > int64(l.Requires.MemoryMi) {
				t.Errorf("the pods request %d Mi; lab.yaml has %d Mi for them and the node", mi, l.Requires.MemoryMi)
			}
			if pods.Requests.CPUMilli == 0 || pods.Limits.MemoryBytes < pods.Requests.MemoryBytes {
				t.Errorf("usage is %+v", pods)
			}
			jobs, err := l.Jobs()
			if err != nil || jobs.Limits.MemoryBytes == 0 {
				t.Errorf("usage of jobs is %+v, %v", jobs, err)
			}
		})
	}
}

// asFound are pods that have neither resources nor probes worth the name,
// because giving them some is a task of the lab.
var asFound = []string{"serving/predictor-stable", "serving/predictor-canary", "retraining/retrain"}

// TestLabPodsAreRestricted asks the admission plugin's own code.
func TestLabPodsAreRestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for name, l := range allLabs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pods := 0
			for _, o := range l.Objects {
				at := []string{"spec", "template"}
				if o.GetKind() == "CronJob" {
					at = []string{"spec", "jobTemplate", "spec", "template"}
				}
				template, found, err := unstructured.NestedMap(o.Object, at...)
				if err != nil || !found {
					continue
				}
				var pod corev1.PodTemplateSpec
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod); err != nil {
					t.Fatal(err)
				}
				pods++
				for _, r := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
					if !r.Allowed {
						t.Errorf("%s %s: %s: %s", o.GetKind(), o.GetName(), r.ForbiddenReason, r.ForbiddenDetail)
					}
				}
				spec := pod.Spec
				if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken ||
					spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
					t.Errorf("%s %s: has a token or service links", o.GetKind(), o.GetName())
				}
				if slices.Contains(asFound, name+"/"+o.GetName()) {
					continue
				}
				for _, c := range spec.Containers {
					if c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
						t.Errorf("%s %s: container %s lacks requests or a memory limit", o.GetKind(), o.GetName(), c.Name)
					}
					if c.ReadinessProbe != nil && (c.StartupProbe == nil || c.StartupProbe.PeriodSeconds != 1) {
						t.Errorf("%s %s: container %s does not look each second whether it has started", o.GetKind(), o.GetName(), c.Name)
					}
				}
			}
			if pods == 0 {
				t.Error("no pods")
			}
		})
	}
}

// TestDatasetDigest holds the chart to the data that the images are built with.
func TestDatasetDigest(t *testing.T) {
	t.Parallel()
	sums, err := fs.ReadFile(images.FS, "python/lab/flights.sha256")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("sha256:%x", sha256.Sum256(sums))
	for name, l := range allLabs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, o := range l.Objects {
				got, found, _ := unstructured.NestedString(o.Object, "data", "flights")
				if o.GetName() == "datasets" && found && got != want {
					t.Errorf("ConfigMap datasets has %s, the images are built from %s", got, want)
				}
			}
		})
	}
}
