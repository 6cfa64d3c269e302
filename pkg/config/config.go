// Package config resolves every setting once, from flag, environment, file and
// default, in that order, and remembers where each value came from. It does not
// hold state that labctl itself writes; that is pkg/state.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/adrg/xdg"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/pkg/clierr"
)

const maxClusterName = 50

var clusterName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// Source says where a value came from.
type Source string

// The sources, weakest first.
const (
	Default Source = "default"
	File    Source = "file"
	Env     Source = "environment"
	Flag    Source = "flag"
)

// Value is a setting and its source.
type Value struct {
	Value  string `json:"value"`
	Source Source `json:"source"`
}

// Set gives the value a new source that wins over what was there.
func (v *Value) Set(value string, from Source) { v.Value, v.Source = value, from }

// Config holds the settings of one run.
type Config struct {
	StateDir Value `json:"stateDir"` // kubeconfig, locks, logs, the learner's history
	CacheDir Value `json:"cacheDir"` // work directory of image builds
	LabsDir  Value `json:"labsDir"`  // labs outside the binary; empty: the built-in ones
	Registry Value `json:"registry"` // where prebuilt images are pulled from and pushed to; empty: none
	Images   Value `json:"images"`   // bases of builds: auto, public or home
	Cluster  Value `json:"cluster"`  // name of the kind cluster
}

// file is config.yaml; unknown keys are errors, so that a typo is not ignored.
type file struct {
	StateDir string `json:"stateDir,omitempty"`
	CacheDir string `json:"cacheDir,omitempty"`
	LabsDir  string `json:"labsDir,omitempty"`
	Registry string `json:"registry,omitempty"`
	Images   string `json:"images,omitempty"`
	Cluster  string `json:"cluster,omitempty"`
}

// Setting describes one setting for help texts and documentation.
type Setting struct {
	Key, Env, Help string
}

// Settings lists what can be configured besides by flags.
func Settings() []Setting {
	return []Setting{
		{"stateDir", "LABCTL_STATE_DIR", "directory for kubeconfig, locks, logs and your history"},
		{"cacheDir", "LABCTL_CACHE_DIR", "work directory for image builds"},
		{"labsDir", "LABCTL_LABS_DIR", "directory with labs, instead of the built-in ones"},
		{"registry", "LABCTL_REGISTRY", "registry that holds prebuilt images, for example registry.example.com/labs"},
		{"images", "LABCTL_IMAGES", "bases for image builds: auto, public (container registries) or home (built from packages)"},
		{"cluster", "LABCTL_CLUSTER", "name of the kind cluster (default labctl)"},
	}
}

// Load reads environment and file. lookupEnv is os.LookupEnv but in tests.
func Load(lookupEnv func(string) (string, bool)) (*Config, error) {
	path, ok := lookupEnv("LABCTL_CONFIG")
	if !ok {
		path = filepath.Join(xdg.ConfigHome, "labctl", "config.yaml")
	}
	f, err := readFile(path)
	if err != nil {
		return nil, err
	}
	c := &Config{}
	fields := []struct {
		into               *Value
		env, file, initial string
	}{
		{&c.StateDir, "LABCTL_STATE_DIR", f.StateDir, filepath.Join(xdg.StateHome, "labctl")},
		{&c.CacheDir, "LABCTL_CACHE_DIR", f.CacheDir, filepath.Join(xdg.CacheHome, "labctl")},
		{&c.LabsDir, "LABCTL_LABS_DIR", f.LabsDir, ""},
		{&c.Registry, "LABCTL_REGISTRY", f.Registry, ""},
		{&c.Images, "LABCTL_IMAGES", f.Images, "auto"},
		{&c.Cluster, "LABCTL_CLUSTER", f.Cluster, "labctl"},
	}
	for _, s := range fields {
		s.into.Set(s.initial, Default)
		if s.file != "" {
			s.into.Set(s.file, File)
		}
		if v, ok := lookupEnv(s.env); ok && v != "" {
			s.into.Set(v, Env)
		}
	}
	return c, nil
}

func readFile(path string) (file, error) {
	var f file
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, clierr.New("check the permissions of the file, or set LABCTL_CONFIG to another one", "read the configuration: %w", err)
	}
	if err := yaml.UnmarshalStrict(raw, &f); err != nil {
		return f, clierr.Usage("correct the file; known keys are stateDir, cacheDir, labsDir, registry, images and cluster", "configuration %s: %v", path, err)
	}
	return f, nil
}

// Validate checks the values that can be wrong on their own.
func (c *Config) Validate() error {
	switch c.Images.Value {
	case "auto", "public", "home":
	default:
		return clierr.Usage("use auto, public or home", "images is %q (from %s)", c.Images.Value, c.Images.Source)
	}
	// kind only warns above 50 characters; the node's host name then breaks.
	if name := c.Cluster.Value; !clusterName.MatchString(name) || len(name) > maxClusterName {
		return clierr.Usage(fmt.Sprintf("use lower-case letters, digits and '-', %d characters at most", maxClusterName),
			"cluster name is %q (from %s), which is no valid name of at most %d characters", name, c.Cluster.Source, maxClusterName)
	}
	for name, v := range map[string]Value{"state directory": c.StateDir, "cache directory": c.CacheDir} {
		if !filepath.IsAbs(v.Value) {
			return clierr.Usage("give an absolute path", "%s is %q (from %s)", name, v.Value, v.Source)
		}
	}
	return nil
}

// String is for debug output.
func (v Value) String() string { return fmt.Sprintf("%s (%s)", v.Value, v.Source) }
