package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/config"
)

func env(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := write(t, "registry: from-file\nimages: home\n")
	c, err := config.Load(env(map[string]string{"LABCTL_CONFIG": file, "LABCTL_REGISTRY": "from-env"}))
	if err != nil {
		t.Fatal(err)
	}
	c.LabsDir.Set("/labs", config.Flag)
	for name, got := range map[string]config.Value{
		"environment beats file": c.Registry, "file beats default": c.Images, "flag": c.LabsDir, "default": c.Cluster,
	} {
		want := map[string]config.Value{
			"environment beats file": {Value: "from-env", Source: config.Env},
			"file beats default":     {Value: "home", Source: config.File},
			"flag":                   {Value: "/labs", Source: config.Flag},
			"default":                {Value: "labctl", Source: config.Default},
		}[name]
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	if _, err := config.Load(env(map[string]string{"LABCTL_CONFIG": filepath.Join(t.TempDir(), "none.yaml")})); err != nil {
		t.Errorf("a missing file is an error: %v", err)
	}
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, env, value, says string }{
		{name: "unknown key", file: "registri: x\n", says: "registri"},
		{name: "no YAML", file: "a: [\n", says: "config.yaml"},
		{name: "way", env: "LABCTL_IMAGES", value: "sometimes", says: "sometimes"},
		{name: "relative directory", env: "LABCTL_STATE_DIR", value: "here", says: "here"},
		{name: "hostile cluster name", env: "LABCTL_CLUSTER", value: "x; rm -rf /", says: "rm -rf"},
		{name: "long cluster name", env: "LABCTL_CLUSTER", value: strings.Repeat("a", 51), says: "50"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vars := map[string]string{"LABCTL_CONFIG": write(t, tt.file)}
			if tt.env != "" {
				vars[tt.env] = tt.value
			}
			c, err := config.Load(env(vars))
			if err == nil {
				err = c.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("error %v does not name %q", err, tt.says)
			}
			if clierr.Code(err) != clierr.CodeUsage || clierr.Describe(err).Hint == "" {
				t.Errorf("error %v has no usage code or no hint", err)
			}
		})
	}
}
