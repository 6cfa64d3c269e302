package cluster

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/pkg/internal/golden"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]Host{
		"public-cgroup2":   {},
		"public-cgroup1":   {CgroupV1: true},
		"public-bounded":   {CgroupV1: true, NoSysResource: true},
		"home-bounded":     {CgroupV1: true, NoSysResource: true, Patched: true, BuiltinCNI: true},
		"home-unpatchable": {BuiltinCNI: true, Patched: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Spec{Name: "labctl", Image: "labctl.local/node:0123", IDDir: "/state/id/0123456789abcdef", Host: host}
			c, err := s.config()
			if err != nil {
				t.Fatal(err)
			}
			out, err := yaml.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, out, "config-"+name+".yaml")
		})
	}
}

func TestSpecValidate(t *testing.T) {
	t.Setenv(NetworkEnv, "net")
	good := Spec{Name: "labctl", Image: "i", IDDir: "/id", Kubeconfig: "/k", Network: "net"}
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Spec){
		"not valid":      func(s *Spec) { s.Name = "../x" },
		"no node image":  func(s *Spec) { s.Image = "" },
		"id directory":   func(s *Spec) { s.IDDir = "id" },
		"the kubeconfig": func(s *Spec) { s.Kubeconfig = "" },
		"is not set":     func(s *Spec) { s.Network = "other" },
	} {
		s := good
		change(&s)
		if err := s.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"labctl": true, "a": true, "a-1": true, strings.Repeat("a", 50): true,
		"": false, "-a": false, "a-": false, "A": false, "a b": false, "a;b": false, "--all": false, "a\n": false, strings.Repeat("a", 51): false,
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("checkName(%q) = %v", name, err)
		}
	}
}

func TestLacksCapability(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{
		"Name:\tx\nCapBnd:\t000001fffeffffff\nSeccomp:\t0\n": true,
		"CapBnd:\t000001ffffffffff\n":                        false,
		"CapBnd:\tjunk\n":                                    false,
		"":                                                   false,
	} {
		if got := lacksCapability(status, capSysResource); got != want {
			t.Errorf("%q: %v", status, got)
		}
	}
}
