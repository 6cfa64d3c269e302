package build

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const tailLines = 15

// log takes the output of a build's commands: everything goes to a file, the
// last lines are kept for an error, and the lines that say how far the build is
// become progress.
type log struct {
	path     string
	progress func(Progress)

	mu    sync.Mutex
	f     *os.File
	part  []byte
	last  []string
	phase string // what we run
	sub   string // how far that is, in its own words
}

func openLog(path string, progress func(Progress)) (*log, error) {
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	return &log{path: path, f: f, progress: progress}, nil
}

// begin names the next command.
func (l *log) begin(phase string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase, l.sub, l.last = phase, "", nil
	fmt.Fprintf(l.f, "== %s\n", phase)
	l.progress(Progress{Text: phase})
}

// step names where the build stands.
func (l *log) step() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sub != "" {
		return l.phase + " " + l.sub
	}
	return l.phase
}

// tail gives the last lines.
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
	classicStep  = regexp.MustCompile(`^Step (\d+)/(\d+) : (.+)$`)
	buildKitStep = regexp.MustCompile(`^#\d+ \[(?:[\w.-]+ )?(\d+)/(\d+)\] (.+)$`)
	aptProgress  = regexp.MustCompile(`^I: (.+)$`)
	goProgress   = regexp.MustCompile(`^go: downloading (\S+)`)
	pullProgress = regexp.MustCompile(`^[0-9a-f]{12}: (Pulling fs layer|Pull complete|Already exists)`)
)

func (l *log) line(line string) {
	l.last = append(l.last, line)
	if over := len(l.last) - tailLines; over > 0 {
		l.last = l.last[over:]
	}
	for _, re := range []*regexp.Regexp{classicStep, buildKitStep} {
		if m := re.FindStringSubmatch(line); m != nil {
			done, _ := strconv.ParseInt(m[1], 10, 64)
			total, _ := strconv.ParseInt(m[2], 10, 64)
			l.sub = fmt.Sprintf("%s/%s (%s)", m[1], m[2], short(m[3]))
			l.progress(Progress{Text: short(m[3]), Done: done, Total: total})
			return
		}
	}
	for _, re := range []*regexp.Regexp{aptProgress, goProgress, pullProgress} {
		if m := re.FindStringSubmatch(line); m != nil {
			l.progress(Progress{Text: l.phase + ": " + short(strings.TrimSuffix(m[1], "..."))})
			return
		}
	}
}

// Close ends the log.
func (l *log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}

// short fits one line of a progress display.
func short(s string) string {
	const most = 60
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-3]) + "..."
	}
	return s
}
