package engine

import (
	"crypto/sha256"
	"encoding/hex"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/kube"
)

// pinned names file and context, so that the target stays the same cluster when
// the user's current context, directory or KUBECONFIG changes: it is remembered,
// and `down` removes things there.
func (t Target) pinned() (Target, error) {
	file, name, err := kube.Locate(t.Kubeconfig, t.Context)
	if err != nil {
		return t, clierr.Wrap(err, "use "+t.String(), "check --kubeconfig and --context")
	}
	t.Kubeconfig, t.Context = file, name
	return t, nil
}

// id is a short name of the cluster that is safe as a file name.
func (t Target) id() string {
	sum := sha256.Sum256([]byte(t.Kubeconfig + "\x00" + t.Context))
	return hex.EncodeToString(sum[:6])
}
