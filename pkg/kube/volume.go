package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// Provisioning a volume takes kind's local-path provisioner a helper pod, five
// seconds that a database waits for. A volume that exists already is bound at
// once, and the provisioner removes it with its claim like one of its own.
const (
	volumeClass       = "standard"
	volumeProvisioner = "rancher.io/local-path"
	volumeRoot        = "/var/local-path-provisioner"
	volumeLabel       = "labctl.dev/warm"
	// volumeSize is only what the volume says of itself: nothing enforces it.
	volumeSize = "10Gi"
)

// EnsureVolumes makes sure that n volumes are free on a node of kind. mkdir
// makes a directory on the node that every user can write to.
func (c *Client) EnsureVolumes(ctx context.Context, node string, n int, mkdir func(path string) error) error {
	api := c.Clientset.CoreV1().PersistentVolumes()
	list, err := api.List(ctx, metav1.ListOptions{LabelSelector: volumeLabel})
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	for _, pv := range list.Items {
		if pv.Status.Phase != corev1.VolumeAvailable && pv.Status.Phase != corev1.VolumePending || pv.Spec.HostPath == nil {
			continue
		}
		// Once more: the directory may be gone, and making it again costs nothing.
		if err := mkdir(pv.Spec.HostPath.Path); err != nil {
			return err
		}
		n--
	}
	for ; n > 0; n-- {
		pv := warmVolume(node)
		// A pod must never meet a volume without its directory.
		if err := mkdir(pv.Spec.HostPath.Path); err != nil {
			return err
		}
		if _, err := api.Create(ctx, pv, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("make a volume: %w", err)
		}
	}
	return nil
}

// warmVolume is a volume as the provisioner makes it.
func warmVolume(node string) *corev1.PersistentVolume {
	kind := corev1.HostPathDirectory
	name := "labctl-" + rand.String(8)
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{volumeLabel: "true"},
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": volumeProvisioner},
		},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: volumeClass, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(volumeSize)},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: volumeRoot + "/" + name, Type: &kind}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
			}}}},
		},
	}
}
