package progress_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/state"
)

func open(t *testing.T, root, installation string, now time.Time) *progress.Store {
	t.Helper()
	dir, err := state.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	s, err := progress.Open(dir, "x", installation, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func update(t *testing.T, s *progress.Store, fn func(*progress.Record)) {
	t.Helper()
	if err := s.Update(t.Context(), func(r *progress.Record) error { fn(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

func addHint(r *progress.Record) {
	r.Hints = append(r.Hints, progress.HintOpened{Task: "pin", Level: 1})
}

func TestStore(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "state")
	s := open(t, root, "one", day)
	if _, err := os.Stat(root); err == nil {
		t.Error("opening wrote something")
	}
	update(t, s, addHint)
	if got := open(t, root, "one", after(3)).Record(); len(got.Hints) != 1 || !got.Started.Equal(day) || got.Installation != "one" {
		t.Errorf("read back %+v", got)
	}
	dir, err := state.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := progress.Latest(dir, "x"); err != nil || len(got.Hints) != 1 {
		t.Errorf("latest %+v, %v", got, err)
	}
	if got, err := progress.Latest(dir, "y"); err != nil || got.Lab != "" {
		t.Errorf("latest of a lab without progress %+v, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(root, "progress", "x.json"))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("file %v, %v", info, err)
	}
}

func TestAnotherInstallationBeginsAnew(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	update(t, open(t, root, "one", day), addHint)
	s := open(t, root, "two", after(60))
	if got := s.Record(); len(got.Hints) != 0 || !got.Started.Equal(after(60)) {
		t.Errorf("new record %+v", got)
	}
	if h := s.History(); len(h) != 1 || h[0].Installation != "one" || len(h[0].Hints) != 1 {
		t.Errorf("history %+v", h)
	}
	// Looking writes nothing: the first installation may still be the true one.
	if got := open(t, root, "one", day).Record(); len(got.Hints) != 1 {
		t.Errorf("looking lost the record: %+v", got)
	}
	update(t, s, addHint)
	update(t, open(t, root, "three", day), func(*progress.Record) {})
	// A record that says nothing is not kept.
	if h := open(t, root, "four", day).History(); len(h) != 2 {
		t.Errorf("history has %d records", len(h))
	}
}

func TestUpdateThatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	why := errors.New("no")
	err := open(t, root, "one", day).Update(t.Context(), func(r *progress.Record) error { addHint(r); return why })
	if !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	if got := open(t, root, "one", day).Record(); len(got.Hints) != 0 {
		t.Errorf("written %+v", got)
	}
}

func TestUpdatesDoNotLoseEachOther(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var wg sync.WaitGroup
	for range 5 {
		s := open(t, root, "one", day)
		wg.Go(func() { update(t, s, addHint) })
	}
	wg.Wait()
	if got := len(open(t, root, "one", day).Record().Hints); got != 5 {
		t.Errorf("%d of 5 changes are there", got)
	}
}

func TestActiveTime(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, minute := range []int{0, 5, 12, 90, 91} { // a long pause is no work
		update(t, open(t, root, "one", after(minute)), func(*progress.Record) {})
	}
	if got := open(t, root, "one", day).Record().ActiveSeconds; got != 13*60 {
		t.Errorf("%v s active, want %v", got, 13*60)
	}
}

func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, content string) string {
		t.Helper()
		root := t.TempDir()
		dir := filepath.Join(root, "progress")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "x.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return root
	}
	root := write(t, `{"schema": 1, "data": {`)
	update(t, open(t, root, "one", day), addHint)
	if aside, _ := filepath.Glob(filepath.Join(root, "progress", "*corrupt*")); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
	dir, err := state.Open(write(t, `{"schema": 99, "data": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := progress.Open(dir, "x", "one", time.Now); err == nil || !strings.Contains(err.Error(), "newer labctl") {
		t.Errorf("a newer file gave %v", err)
	}
}
