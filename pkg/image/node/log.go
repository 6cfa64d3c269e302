package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"labctl.dev/labctl/pkg/image/build"
)

const tailLines = 15

// log takes the output of all commands: everything goes to a file, the last
// lines of a step are kept for an error, and some become progress.
type log struct {
	path     string
	progress func(build.Progress)

	mu          sync.Mutex
	f           *os.File
	part        []byte
	last        []string
	step        string
	done, total int
}

func openLog(path string, progress func(build.Progress)) (*log, error) {
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	if progress == nil {
		progress = func(build.Progress) {}
	}
	return &log{path: path, f: f, progress: progress}, nil
}

// begin names the next step.
func (l *log) begin(step string, done, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step, l.done, l.total, l.last, l.part = step, done, total, nil, nil
	fmt.Fprintf(l.f, "== %s\n", step)
	l.say(step)
}

// note writes a line of ours.
func (l *log) note(line string) { fmt.Fprintln(l, line) }

// tail gives the last lines of the step.
func (l *log) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.last
	if len(l.part) > 0 {
		lines = append(slices.Clip(lines), string(l.part))
	}
	return strings.Join(lines, "\n")
}

// Write implements io.Writer.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.f.Write(p); err != nil {
		return 0, err
	}
	l.part = append(l.part, p...)
	for {
		i := bytes.IndexAny(l.part, "\n\r")
		if i < 0 {
			return len(p), nil
		}
		line := strings.TrimRight(string(l.part[:i]), " \t\r")
		l.part = l.part[i+1:]
		if line != "" {
			l.line(line)
		}
	}
}

var (
	downloadLine = regexp.MustCompile(`^go: downloading (\S+)`)
	packageLine  = regexp.MustCompile(`^[a-z0-9.-]+(?:/[A-Za-z0-9._~-]+)+$`)
	aptLine      = regexp.MustCompile(`^I: (.+?)\.*$`)
)

func (l *log) line(line string) {
	l.last = append(l.last, line)
	if over := len(l.last) - tailLines; over > 0 {
		l.last = l.last[over:]
	}
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

// Close ends the log.
func (l *log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}
