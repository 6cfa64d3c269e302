// Package buildlog keeps what the commands of an image build print: all of it in
// a file, the last lines for an error, with advice on what builds fail of.
//
// It does not know what a line means: its users tell from it how far a build is.
package buildlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// tailLines is how much of a failed step's output goes into an error.
const tailLines = 15

// Log takes the output of one build. It is safe for concurrent use.
type Log struct {
	path   string
	onLine func(line string)

	mu   sync.Mutex
	f    *os.File
	part []byte
	last []string
}

// Open makes the file. onLine gets every line that is not empty, one at a time;
// it must not use the log.
func Open(path string, onLine func(line string)) (*Log, error) {
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &Log{path: path, onLine: onLine, f: f}, nil
}

// Path is where the file is.
func (l *Log) Path() string { return l.path }

// Begin names the next step and forgets the last lines of the one before.
func (l *Log) Begin(step string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.part = nil, nil
	fmt.Fprintf(l.f, "== %s\n", step)
}

// Note writes a line of ours.
func (l *Log) Note(line string) { fmt.Fprintln(l, line) }

// Tail gives the last lines of the step.
func (l *Log) Tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.last
	if len(l.part) > 0 {
		lines = append(slices.Clip(lines), string(l.part))
	}
	return strings.Join(lines, "\n")
}

// Write implements io.Writer. Output comes in pieces that know nothing of lines.
func (l *Log) Write(p []byte) (int, error) {
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
		if line == "" {
			continue
		}
		l.last = append(l.last, line)
		if over := len(l.last) - tailLines; over > 0 {
			l.last = l.last[over:]
		}
		l.onLine(line)
	}
}

// Close ends the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}
