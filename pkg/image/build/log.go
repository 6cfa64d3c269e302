package build

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"labctl.dev/labctl/pkg/image/buildlog"
)

// log is the log of one build; the lines that say how far the build is become
// progress.
type log struct {
	*buildlog.Log

	progress func(Progress)

	mu    sync.Mutex
	phase string // what we run
	sub   string // how far that is, in its own words
}

func openLog(path string, progress func(Progress)) (*log, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	l := &log{progress: progress}
	var err error
	l.Log, err = buildlog.Open(path, l.line)
	return l, err
}

// begin names the next command.
func (l *log) begin(phase string) {
	l.Begin(phase)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase, l.sub = phase, ""
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

var (
	classicStep  = regexp.MustCompile(`^Step (\d+)/(\d+) : (.+)$`)
	buildKitStep = regexp.MustCompile(`^#\d+ \[(?:[\w.-]+ )?(\d+)/(\d+)\] (.+)$`)
	aptProgress  = regexp.MustCompile(`^I: (.+)$`)
	goProgress   = regexp.MustCompile(`^go: downloading (\S+)`)
	pullProgress = regexp.MustCompile(`^[0-9a-f]{12}: (Pulling fs layer|Pull complete|Already exists)`)
)

func (l *log) line(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
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

// short fits one line of a progress display.
func short(s string) string {
	const most = 60
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-3]) + "..."
	}
	return s
}
