// Package docs holds the pages that labctl shows itself. It is not for reading
// them: that is pkg/explain.
package docs

import "embed"

// FS has the page about the findings of `labctl doctor`.
//
//go:embed doctor.md
var FS embed.FS
