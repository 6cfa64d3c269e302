package cluster

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"

	"sigs.k8s.io/kind/pkg/exec"
)

// podCIDR is what Kubernetes gives the first node of kind's pod network. With
// one node that is known beforehand, so the network needs no waiting for it.
const podCIDR = "10.244.0.0/24"

// patchDir is where kubeadm finds patches of its own manifests.
const patchDir = "/kind/patches"

// bootstrapScript starts Kubernetes in a node that kind has made and
// configured. It does what kind does after that, for a node image that brings
// its network along, without what takes kind seconds on one node:
//
//   - the pod network's configuration is there before kubelet, so the node is
//     ready as soon as kubelet is (otherwise kubelet looks again after seconds);
//   - the storage class is made as soon as the API server is ready, beside
//     kubeadm, and without kubectl's validation, for which the API server would
//     have to compute and kubectl to read the schema of everything;
//   - the control plane has no taint that would have to be taken away again
//     (see Spec.config);
//   - cluster DNS is asked every second whether it is ready. At kubeadm's ten,
//     the first question comes after up to ten seconds in which no pod finds
//     another: kubelet spreads first probes over the whole period when it has
//     itself just started. One node needs one replica.
const bootstrapScript = `
sed 's#{{\.PodCIDR}}#` + podCIDR + `#g' /etc/cni/net.d.template > /etc/cni/net.d/10-labctl.conflist
mkdir -p ` + patchDir + `
cat > ` + patchDir + `/corednsdeployment.yaml <<'EOF'
spec:
  replicas: 1
  template:
    spec:
      containers:
        - name: coredns
          readinessProbe: {periodSeconds: 1}
EOF
export KUBECONFIG=/etc/kubernetes/admin.conf
storage() {
  until curl --fail --silent --insecure --output /dev/null https://127.0.0.1:6443/readyz; do sleep 0.2; done
  until kubectl apply --validate=false --filename /kind/manifests/default-storage.yaml; do sleep 0.5; done
}
storage >/tmp/labctl-storage.log 2>&1 &
if kubeadm init --config=/kind/kubeadm.conf --skip-token-print --v=2; then
  wait $!
else
  code=$?
  kill $!
  exit $code
fi
`

// bootstrap runs the script. Its error carries what kubeadm said, as errors of
// kind's commands do.
func (m *Manager) bootstrap(ctx context.Context, s Spec, progress func(string)) error {
	r, w := io.Pipe()
	var output bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(io.TeeReader(r, &output))
		for lines.Scan() {
			if text := kubeadmProgress(lines.Text()); text != "" {
				progress(text)
			}
		}
		_, _ = io.Copy(&output, r) // a line too long to scan
	}()
	args := []string{"exec", "--privileged", NodeName(s.Name), "bash", "-c", bootstrapScript}
	err := m.docker.Stream(ctx, nil, w, w, nil, args...)
	_ = w.Close()
	<-done
	m.log.Debug("kubeadm", "output", output.String())
	if err == nil {
		return nil
	}
	return &exec.RunError{Command: []string{"kubeadm", "init"}, Output: output.Bytes(), Inner: err}
}

// kubeadmProgress turns a line of kubeadm into a word for people.
func kubeadmProgress(line string) string {
	for _, p := range [][2]string{
		{"[certs] Using certificateDir", "making certificates"},
		{"[kubelet-start] Starting the kubelet", "starting the control plane"},
		{"[control-plane-check] Waiting for healthy", "waiting for the API server"},
		{"[upload-config] Storing", "setting the cluster up"},
		{"[addons] Applied essential addon: CoreDNS", "starting add-ons"},
	} {
		if strings.HasPrefix(line, p[0]) {
			return p[1]
		}
	}
	return ""
}
