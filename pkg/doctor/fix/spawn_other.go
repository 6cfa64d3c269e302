//go:build !linux

package fix

import "errors"

// spawn is never needed here: away from Linux a desktop product runs the engine.
func spawn(Daemon) (<-chan error, error) { return nil, errors.ErrUnsupported }
