package state

import "io/fs"

// ownedByUser relies on the access rules of the profile directory.
func ownedByUser(fs.FileInfo) (owner string, ok bool) { return "", true }
