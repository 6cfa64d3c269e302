// Package images carries the definitions of every container image that the
// project uses, so that a released binary can build them without a checkout.
// It is not for code that reads or builds them; that is pkg/image.
package images

import "embed"

// FS holds one directory per image and the directories that several of them
// include. "all:" is needed for names that start with a dot or an underscore.
//
//go:embed all:*
var FS embed.FS
