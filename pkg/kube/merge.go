package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"labctl.dev/labctl/pkg/clierr"
)

// Rename gives a kubeconfig that holds nothing but its current context, with
// context, cluster and user called name and namespace as the default one.
func Rename(kubeconfig []byte, name, namespace string) ([]byte, error) {
	cfg, err := single(kubeconfig, name, namespace)
	if err != nil {
		return nil, err
	}
	out, err := clientcmd.Write(*cfg)
	if err != nil {
		return nil, fmt.Errorf("encode kubeconfig: %w", err)
	}
	return out, nil
}

func single(kubeconfig []byte, name, namespace string) (*api.Config, error) {
	from, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	ctx := from.Contexts[from.CurrentContext]
	if ctx == nil || from.Clusters[ctx.Cluster] == nil || from.AuthInfos[ctx.AuthInfo] == nil {
		return nil, errors.New("the kubeconfig has no current context with cluster and user")
	}
	to := api.NewConfig()
	to.Clusters[name] = from.Clusters[ctx.Cluster]
	to.AuthInfos[name] = from.AuthInfos[ctx.AuthInfo]
	to.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name, Namespace: namespace}
	to.CurrentContext = name
	return to, nil
}

// MergeKubeconfig adds kubeconfig's current context to a file under a name,
// replacing what had that name. The file's current context changes only if use
// is set, even when it has none: kubectl then does nothing by accident.
func MergeKubeconfig(path string, kubeconfig []byte, name, namespace string, use bool) error {
	add, err := single(kubeconfig, name, namespace)
	if err != nil {
		return err
	}
	return edit(path, func(cfg *api.Config) bool {
		cfg.Clusters[name], cfg.AuthInfos[name], cfg.Contexts[name] = add.Clusters[name], add.AuthInfos[name], add.Contexts[name]
		if use {
			cfg.CurrentContext = name
		}
		return true
	})
}

// UnmergeKubeconfig takes a context that MergeKubeconfig added out of a file.
func UnmergeKubeconfig(path, name string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return edit(path, func(cfg *api.Config) bool {
		_, has := cfg.Contexts[name]
		delete(cfg.Clusters, name)
		delete(cfg.AuthInfos, name)
		delete(cfg.Contexts, name)
		if cfg.CurrentContext == name {
			cfg.CurrentContext = ""
		}
		return has
	})
}

// edit changes a kubeconfig as kubectl would, under kubectl's lock, but writes
// it so that a crash leaves the old or the new file. change tells whether there
// is anything to write.
func edit(path string, change func(*api.Config) bool) (err error) {
	// A file that is a link (to a dotfiles repository, say) stays one.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("edit kubeconfig: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_EXCL, 0)
	if errors.Is(err, fs.ErrExist) {
		return clierr.New("If no kubectl runs, remove "+path+".lock.", "kubeconfig %s is locked", path)
	}
	if err != nil {
		return fmt.Errorf("lock kubeconfig: %w", err)
	}
	_ = lock.Close()
	defer func() { _ = os.Remove(path + ".lock") }()

	mode := fs.FileMode(0o600)
	cfg := api.NewConfig()
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read kubeconfig: %w", err)
	default:
		if cfg, err = clientcmd.Load(raw); err != nil {
			return clierr.Wrap(err, "read kubeconfig "+path, "Repair the file first; it was not touched.")
		}
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
	}
	if !change(cfg) {
		return nil
	}
	out, err := clientcmd.Write(*cfg)
	if err != nil {
		return fmt.Errorf("encode kubeconfig: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".labctl-*")
	if err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(out); err == nil {
		err = tmp.Sync()
	}
	if err == nil {
		err = tmp.Close()
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), mode)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
