package kube

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

func TestEnsureVolumes(t *testing.T) {
	t.Parallel()
	const free, pending, bound, released = corev1.VolumeAvailable, corev1.VolumePending, corev1.VolumeBound, corev1.VolumeReleased
	tests := map[string]struct {
		want  int
		there []corev1.PersistentVolumePhase
		other int // free volumes of somebody else
		made  int
	}{
		"none wanted":          {},
		"none there":           {want: 3, made: 3},
		"enough":               {want: 2, there: []corev1.PersistentVolumePhase{free, pending}},
		"more than enough":     {want: 1, there: []corev1.PersistentVolumePhase{free, free, free}},
		"some":                 {want: 3, there: []corev1.PersistentVolumePhase{free, bound, pending}, made: 1},
		"used ones":            {want: 2, there: []corev1.PersistentVolumePhase{bound, released}, made: 2},
		"those of others":      {want: 1, other: 2, made: 1},
		"none wanted, some in": {there: []corev1.PersistentVolumePhase{bound}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var objects []runtime.Object
			for i, phase := range tt.there {
				objects = append(objects, &corev1.PersistentVolume{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("there-%d", i), Labels: map[string]string{volumeLabel: "true"}},
					Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
						HostPath: &corev1.HostPathVolumeSource{Path: fmt.Sprintf("%s/there-%d", volumeRoot, i)},
					}},
					Status: corev1.PersistentVolumeStatus{Phase: phase},
				})
			}
			for i := range tt.other {
				objects = append(objects, &corev1.PersistentVolume{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("other-%d", i)}, Status: corev1.PersistentVolumeStatus{Phase: free},
				})
			}
			c := &Client{Clientset: fake.NewClientset(objects...)}
			paths := map[string]bool{}
			err := c.EnsureVolumes(t.Context(), "node", tt.want, func(path string) error {
				paths[path] = true
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			list, err := c.Clientset.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if made := len(list.Items) - len(objects); made != tt.made {
				t.Errorf("%d volumes made, want %d", made, tt.made)
			}
			for _, pv := range list.Items {
				isFree := pv.Status.Phase == free || pv.Status.Phase == pending || pv.Status.Phase == ""
				if _, warm := pv.Labels[volumeLabel]; warm && isFree && !paths[pv.Spec.HostPath.Path] {
					t.Errorf("%s has no directory", pv.Name)
				}
			}
		})
	}
}

func TestEnsureVolumesStops(t *testing.T) {
	t.Parallel()
	broken := errors.New("no space")
	c := &Client{Clientset: fake.NewClientset()}
	dirs := 0
	err := c.EnsureVolumes(t.Context(), "node", 3, func(string) error {
		dirs++
		return broken
	})
	if !errors.Is(err, broken) || dirs != 1 {
		t.Errorf("%d directories, error %v", dirs, err)
	}
}

// The provisioner removes a volume with its claim only if it looks like one
// of its own.
func TestWarmVolume(t *testing.T) {
	t.Parallel()
	pv := warmVolume("labctl-control-plane")
	terms := pv.Spec.NodeAffinity.Required.NodeSelectorTerms
	switch {
	case pv.Annotations["pv.kubernetes.io/provisioned-by"] != "rancher.io/local-path",
		pv.Spec.StorageClassName != "standard",
		pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete,
		pv.Spec.HostPath.Path != "/var/local-path-provisioner/"+pv.Name,
		terms[0].MatchExpressions[0].Values[0] != "labctl-control-plane":
		t.Errorf("%+v", pv)
	}
}
