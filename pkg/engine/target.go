package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	"labctl.dev/labctl/pkg/clierr"
)

// absolute makes the target mean the same in every directory, since it is
// remembered.
func (t Target) absolute() (Target, error) {
	if t.Kubeconfig == "" {
		return t, nil
	}
	abs, err := filepath.Abs(t.Kubeconfig)
	if err != nil {
		return t, clierr.Wrap(err, "find "+t.Kubeconfig, "give an absolute path")
	}
	t.Kubeconfig = abs
	return t, nil
}

// id is a short name of the cluster that is safe as a file name.
func (t Target) id() string {
	sum := sha256.Sum256([]byte(t.Kubeconfig + "\x00" + t.Context))
	return hex.EncodeToString(sum[:6])
}
