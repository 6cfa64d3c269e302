// Package golden compares test output with files below testdata. Run a test
// with -update to write them anew. It is for tests only.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//nolint:gochecknoglobals // a test flag must be registered once per binary
var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Equal fails the test when got differs from testdata/<name>. Line ends are
// compared as LF, so that a checkout on Windows passes too.
func Equal(t *testing.T, got []byte, name string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	text := strings.ReplaceAll(string(got), "\r\n", "\n")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read golden file: %v (run the test with -update to make it)", err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), text); diff != "" {
		t.Errorf("%s differs (-want +got); run the test with -update if this is meant:\n%s", path, diff)
	}
}
