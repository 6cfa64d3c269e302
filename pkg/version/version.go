// Package version says which labctl this is. Releases set the variables at
// link time; other builds read them from the build information.
package version

import (
	"runtime"
	"runtime/debug"
)

// Set by the linker in releases and by the Makefile.
var (
	version = ""
	commit  = ""
	date    = ""
)

// Project tells this labctl from two other tools of the same name.
const Project = "labctl: MLOps labs on a local Kubernetes cluster (labctl.dev)"

// Info identifies a build.
type Info struct {
	Project  string `json:"project"`
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get reads the build's identity.
func Get() Info {
	i := Info{Project: Project, Version: version, Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if bi, ok := debug.ReadBuildInfo(); ok {
		if i.Version == "" {
			i.Version = bi.Main.Version
		}
		for _, s := range bi.Settings {
			switch {
			case s.Key == "vcs.revision" && i.Commit == "":
				i.Commit = s.Value
			case s.Key == "vcs.time" && i.Date == "":
				i.Date = s.Value
			}
		}
	}
	if i.Version == "" || i.Version == "(devel)" {
		i.Version = "dev"
	}
	return i
}
