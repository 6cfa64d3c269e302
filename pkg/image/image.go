// Package image gives the rest of labctl the container images that it needs:
// found in the cache beside the cluster, copied from a configured registry, or
// built from the embedded definitions, in this order. It is not for running
// clusters or charts, and nothing in it knows about labs.
package image

import (
	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/image/spec"
)

// Way says where the parts of an image come from.
type Way = spec.Way

// The ways: Auto looks whether public images can be pulled.
const (
	Auto   = spec.Auto
	Public = spec.Public
	Home   = spec.Home
)

// Names of images that have a task of their own.
const (
	NodeImage     = "node"
	RegistryImage = "registry"
)

// StepID is the step that the events of this package belong to; each image is a
// row of it. Starting and ending the step is the caller's business.
const StepID = "images"

// engineRepo is the name space of our images in the engine. Nothing answers to
// it, so the engine can never pull such an image from somebody else by mistake.
const engineRepo = "labctl.local/"

// Ref names one version of one image.
type Ref struct {
	Name string `json:"name"`
	Tag  string `json:"tag"`
	Way  Way    `json:"way"`
}

// String gives the reference that pods use; nodes find it in the cache.
func (r Ref) String() string { return r.In(cache.Host) }

// In gives the reference in another registry.
func (r Ref) In(registry string) string { return registry + "/" + r.Name + ":" + r.Tag }

// Engine gives the name of the image in the engine.
func (r Ref) Engine() string { return engineRepo + r.Name + ":" + r.Tag }
