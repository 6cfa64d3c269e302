package state

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how often a waiting process tries again. File locks can't be
// waited for with a context.
const lockPoll = 100 * time.Millisecond

// Holder says who holds a lock.
type Holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "another labctl"
	}
	return fmt.Sprintf("%q (process %d, since %s)", h.Command, h.PID, h.Since.Local().Format(time.TimeOnly))
}

// Lock takes the lock of that name. While another process holds it, Lock calls
// onWait once for each holder and waits until ctx ends. The lock is the
// kernel's, so it is free as soon as its holder is gone, however that ended.
// command is what others are told; unlock may be called more than once.
func (d *Dir) Lock(ctx context.Context, name, command string, onWait func(Holder)) (unlock func(), err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	dir, err := d.mkdir(lockDir)
	if err != nil {
		return nil, err
	}
	// The holder stands in a file of its own: where locks are mandatory
	// (Windows), the locked file can't be read by those who wait.
	holderFile := filepath.Join(lockDir, name+".holder")
	lock := flock.New(filepath.Join(dir, name+".lock"), flock.SetPermissions(0o600))
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	var last *Holder
	for first := true; ; first = false {
		ok, err := lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if ok {
			break
		}
		// A holder that just took the lock may not have said so yet: the
		// first tick gives it the time.
		if h := d.holder(holderFile); onWait != nil && !first && (last == nil || h.PID != 0 && h != *last) {
			last = &h
			onWait(h)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock %s: %w", name, context.Cause(ctx))
		case <-tick.C:
		}
	}
	release := func() {
		_ = os.Remove(filepath.Join(d.root, holderFile))
		_ = lock.Unlock()
	}
	content, err := json.Marshal(Holder{PID: os.Getpid(), Command: command, Since: time.Now().UTC().Truncate(time.Second)})
	if err == nil {
		err = d.writeFile(holderFile, content)
	}
	if err != nil {
		release()
		return nil, err
	}
	done := make(chan struct{}, 1)
	return func() {
		select {
		case done <- struct{}{}:
			release()
		default:
		}
	}, nil
}

// holder reads who holds a lock; the zero Holder when that is not known.
func (d *Dir) holder(rel string) Holder {
	var h Holder
	content, err := os.ReadFile(filepath.Join(d.root, rel))
	if err != nil || json.Unmarshal(content, &h) != nil {
		return Holder{}
	}
	return h
}
