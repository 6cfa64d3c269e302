// Package labs holds the labs that come with labctl. It is not for reading
// them: that is pkg/catalog.
package labs

import "embed"

// FS has one directory per lab. The patterns leave out what
// `helm dependency build` puts into a chart, so that a build in a used
// checkout gives the same binary as one in a fresh clone.
//
//go:embed */lab.yaml */tasks */checks */solutions */near-misses */alternatives */faults
//go:embed */chart/Chart.yaml */chart/values.yaml */chart/values.schema.json all:*/chart/templates
var FS embed.FS
