// Package charts holds the component charts that the charts of the labs are
// put together from. It is not for loading or rendering them: that is
// pkg/release.
package charts

import "embed"

// FS has one directory per component chart. The patterns leave out what
// `helm dependency build` puts into a chart, so that a build in a used
// checkout gives the same binary as one in a fresh clone.
//
//go:embed */Chart.yaml */values.yaml */values.schema.json all:*/templates
var FS embed.FS
