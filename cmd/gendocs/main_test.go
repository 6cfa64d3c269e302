package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReferenceIsCurrent holds the committed pages against the commands.
func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run([]string{"-markdown", dir}); err != nil {
		t.Fatal(err)
	}
	committed := filepath.Join("..", "..", "docs", "commands")
	if diff := cmp.Diff(read(t, committed), read(t, dir)); diff != "" {
		t.Errorf("docs/commands is not current, run `make generate` (-committed +commands):\n%s", diff)
	}
}

func TestManAndCompletions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	man, completions := filepath.Join(dir, "man"), filepath.Join(dir, "completions")
	if err := run([]string{"-man", man, "-completions", completions}); err != nil {
		t.Fatal(err)
	}
	pages, scripts := read(t, man), read(t, completions)
	for _, name := range []string{"labctl.1", "labctl-up.1"} {
		if pages[name] == "" {
			t.Errorf("no man page %s", name)
		}
	}
	if !strings.Contains(pages["labctl-up.1"], "labctl up LAB") {
		t.Errorf("the man page of up names no argument:\n%s", pages["labctl-up.1"])
	}
	for _, name := range []string{"labctl.bash", "labctl.fish", "labctl.ps1", "labctl.zsh"} {
		if scripts[name] == "" {
			t.Errorf("no completion %s", name)
		}
	}
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(content)
	}
	return files
}
