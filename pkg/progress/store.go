package progress

import (
	"context"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/state"
)

// idleAfter is the longest pause between two commands that counts as work.
const idleAfter = 15 * time.Minute

// keptHistory is how many records of earlier installations stay.
const keptHistory = 20

// file is what lies in progress/<lab>.json.
type file struct {
	Current Record `json:"current"`
	// History holds the records of earlier installations, the oldest first.
	History []Record `json:"history,omitempty"`
}

// Store is the record of one installation of a lab.
type Store struct {
	dir  *state.Dir
	now  func() time.Time
	file file
}

// Open reads the record of a lab. That of another installation is history, and
// a new one begins; nothing is written before Update.
func Open(dir *state.Dir, lab, installation string, now func() time.Time) (*Store, error) {
	s := &Store{dir: dir, now: now}
	return s, s.load(lab, installation)
}

func (s *Store) load(lab, installation string) error {
	s.file = file{}
	found, err := s.dir.ReadRecord(state.Progress, lab, &s.file)
	if err != nil {
		return clierr.Wrap(err, "read your progress in "+lab, "")
	}
	if found && s.file.Current.Installation == installation {
		return nil
	}
	if found && !s.file.Current.empty() {
		s.file.History = append(s.file.History, s.file.Current)
		s.file.History = s.file.History[max(0, len(s.file.History)-keptHistory):]
	}
	t := s.now().UTC().Truncate(time.Second)
	s.file.Current = Record{Lab: lab, Installation: installation, Started: t, Updated: t}
	return nil
}

// Record gives the record as it was last read or written.
func (s *Store) Record() Record { return s.file.Current }

// History gives the records of earlier installations, the oldest first.
func (s *Store) History() []Record { return s.file.History }

// Update changes the record under its lock, from what is on disk at that time.
// When fn fails nothing is written.
func (s *Store) Update(ctx context.Context, fn func(*Record) error) error {
	lab, installation := s.file.Current.Lab, s.file.Current.Installation
	unlock, err := s.dir.Lock(ctx, "progress-"+lab, "labctl", nil)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.load(lab, installation); err != nil {
		return err
	}
	if err := fn(&s.file.Current); err != nil {
		return err
	}
	s.file.Current.touch(s.now().UTC().Truncate(time.Second))
	err = s.dir.WriteRecord(state.Progress, lab, s.file)
	return clierr.Wrap(err, "keep your progress in "+lab, "")
}

// touch counts the time since the last command where it was work.
func (r *Record) touch(now time.Time) {
	if d := now.Sub(r.Updated); d > 0 && d <= idleAfter {
		r.ActiveSeconds += d.Seconds()
	}
	r.Updated = now
}

// empty tells a record that says nothing, so that it is not kept as history.
func (r *Record) empty() bool {
	return len(r.Checks) == 0 && len(r.Hints) == 0 && len(r.Solved) == 0 && len(r.Faults) == 0
}

// Latest gives the record that was written last, whatever the installation, for
// commands that work without the lab. It is empty when there is none.
func Latest(dir *state.Dir, lab string) (Record, error) {
	var f file
	if _, err := dir.ReadRecord(state.Progress, lab, &f); err != nil {
		return Record{}, clierr.Wrap(err, "read your progress in "+lab, "")
	}
	return f.Current, nil
}
