package node

import (
	"regexp"
	"sync"

	"labctl.dev/labctl/pkg/image/build"
	"labctl.dev/labctl/pkg/image/buildlog"
)

// log is the log of the build; some of its lines become progress.
type log struct {
	*buildlog.Log

	progress func(build.Progress)

	mu          sync.Mutex
	step        string
	done, total int
}

func openLog(path string, progress func(build.Progress)) (*log, error) {
	if progress == nil {
		progress = func(build.Progress) {}
	}
	l := &log{progress: progress}
	var err error
	l.Log, err = buildlog.Open(path, l.line)
	return l, err
}

// begin names the next step.
func (l *log) begin(step string, done, total int) {
	l.Begin(step)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step, l.done, l.total = step, done, total
	l.say(step)
}

var (
	downloadLine = regexp.MustCompile(`^go: downloading (\S+)`)
	packageLine  = regexp.MustCompile(`^[a-z0-9.-]+(?:/[A-Za-z0-9._~-]+)+$`)
	aptLine      = regexp.MustCompile(`^I: (.+?)\.*$`)
)

func (l *log) line(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case packageLine.MatchString(line):
		l.say(l.step + ": " + line)
	case downloadLine.MatchString(line):
		l.say(l.step + ": download " + downloadLine.FindStringSubmatch(line)[1])
	case aptLine.MatchString(line):
		l.say(l.step + ": " + aptLine.FindStringSubmatch(line)[1])
	}
}

// say tells how far the build is; the caller holds the lock.
func (l *log) say(text string) {
	const most = 70
	if r := []rune(text); len(r) > most {
		text = string(r[:most-3]) + "..."
	}
	l.progress(build.Progress{Text: text, Done: int64(l.done), Total: int64(l.total)})
}
