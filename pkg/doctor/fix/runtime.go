package fix

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
)

//go:embed runc-bounded.sh
var runcBounded string

// RuntimeName is how the engine's configuration calls our runtime.
const RuntimeName = "labctl-bounded"

// runtimeScript is the runtime that leaves out the given capabilities.
func runtimeScript(missing []int) string {
	var names []string
	for _, n := range CapNames(missing) {
		if name, ok := strings.CutPrefix(n, "CAP_"); ok {
			names = append(names, name)
		}
	}
	return strings.ReplaceAll(runcBounded, "@CAPS@", strings.Join(names, "|"))
}

// Runtime installs the runtime that leaves out the missing capabilities and
// makes it the engine's default. It may only be called while no engine runs.
// It gives the files that it wrote.
func (x *Fixer) Runtime(missing []int) ([]string, error) {
	cfg := x.Machine.Path(x.Paths.DaemonJSON)
	old, err := os.ReadFile(cfg)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the engine's configuration: %w", err)
	}
	script := x.Paths.RuntimeScript
	merged, changed, err := mergeRuntime(old, script)
	if err != nil {
		var e *clierr.Error
		if errors.As(err, &e) {
			e.Op = x.Paths.DaemonJSON
		}
		return nil, err
	}
	var wrote []string
	want := []byte(runtimeScript(missing))
	if have, err := os.ReadFile(x.Machine.Path(script)); err != nil || !bytes.Equal(have, want) {
		if err := writeFile(x.Machine.Path(script), want, 0o755); err != nil {
			return nil, err
		}
		wrote = append(wrote, script)
	}
	if !changed {
		return wrote, nil
	}
	if old != nil {
		backup := x.Paths.DaemonJSON + ".labctl-" + x.Machine.Now().UTC().Format("20060102T150405Z")
		if err := writeFile(x.Machine.Path(backup), old, 0o644); err != nil {
			return wrote, err
		}
		wrote = append(wrote, backup)
	}
	if err := writeFile(cfg, merged, 0o644); err != nil {
		return wrote, err
	}
	return append(wrote, x.Paths.DaemonJSON), nil
}

// mergeRuntime adds our runtime to the engine's configuration and keeps all
// else as it is, byte for byte where JSON allows it.
func mergeRuntime(old []byte, script string) (merged []byte, changed bool, err error) {
	cfg := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(old)) > 0 {
		if err := json.Unmarshal(old, &cfg); err != nil || cfg == nil {
			if err == nil {
				err = errors.New("not a JSON object")
			}
			e := clierr.New("repair the file or move it away, then try again; labctl never overwrites what it can't read", "not changed: %w", err)
			e.ID = "engine-config"
			return nil, false, e
		}
	}
	runtimes := map[string]json.RawMessage{}
	if raw, ok := cfg["runtimes"]; ok {
		if err := json.Unmarshal(raw, &runtimes); err != nil || runtimes == nil {
			e := clierr.New("make \"runtimes\" an object, then try again", "not changed: \"runtimes\" is not an object")
			e.ID = "engine-config"
			return nil, false, e
		}
	}
	var current string
	if raw, ok := cfg["default-runtime"]; ok {
		if err := json.Unmarshal(raw, &current); err != nil {
			e := clierr.New("make \"default-runtime\" a string, then try again", "not changed: \"default-runtime\" is not a string")
			e.ID = "engine-config"
			return nil, false, e
		}
	}
	switch current {
	case "", "runc", "io.containerd.runc.v2", RuntimeName:
	default:
		e := clierr.New("choose the runtime yourself: it must not ask for the missing capabilities",
			"not changed: the default runtime is %q already", current)
		e.ID = "capabilities"
		return nil, false, e
	}
	var have struct {
		Path string `json:"path"`
	}
	if raw, ok := runtimes[RuntimeName]; ok {
		_ = json.Unmarshal(raw, &have)
	}
	if have.Path == script && current == RuntimeName {
		return old, false, nil
	}
	if runtimes[RuntimeName], err = json.Marshal(map[string]string{"path": script}); err != nil {
		return nil, false, err
	}
	if cfg["runtimes"], err = json.Marshal(runtimes); err != nil {
		return nil, false, err
	}
	if cfg["default-runtime"], err = json.Marshal(RuntimeName); err != nil {
		return nil, false, err
	}
	merged, err = json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		return nil, false, err
	}
	return append(merged, '\n'), true, nil
}

// writeFile writes a file atomically: a reader sees the old or the new one.
// An existing file keeps its mode; a symbolic link stays one.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if st, err := os.Stat(path); err == nil {
		mode = st.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone after the rename; then nothing to do
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
