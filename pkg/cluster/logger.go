package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	kindlog "sigs.k8s.io/kind/pkg/log"
)

// logger turns what kind says into progress and log records. kind reports its
// steps as formatted text unless it draws its own spinner.
type logger struct {
	log      *slog.Logger
	progress func(string)
}

var _ kindlog.Logger = logger{}

// muted are warnings of kind about things that labctl does on purpose.
//
//nolint:gochecknoglobals // a constant table
var muted = []string{NetworkEnv, "Here be dragons", "cgroup v1 is deprecated"}

func (l logger) Warn(message string) {
	level := slog.LevelWarn
	for _, m := range muted {
		if strings.Contains(message, m) {
			level = slog.LevelDebug
		}
	}
	l.log.Log(context.Background(), level, "kind: "+strings.TrimSpace(message)) //nolint:forbidigo // kind's logger has no context
}

func (l logger) Warnf(format string, args ...any)  { l.Warn(fmt.Sprintf(format, args...)) }
func (l logger) Error(message string)              { l.log.Error("kind: " + strings.TrimSpace(message)) }
func (l logger) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }

func (l logger) V(level kindlog.Level) kindlog.InfoLogger { return infoLogger{l, level} }

type infoLogger struct {
	logger
	level kindlog.Level
}

func (l infoLogger) Info(message string) {
	if l.level > 0 {
		l.log.Debug("kind: "+strings.TrimSpace(message), "v", int(l.level))
		return
	}
	l.log.Debug("kind: " + strings.TrimSpace(message))
	// Only starts are progress: " • Starting control-plane 🕹️  ...".
	if text, ok := strings.CutPrefix(strings.TrimSpace(message), "•"); ok {
		l.progress(plain(text))
	}
}

func (l infoLogger) Infof(format string, args ...any) { l.Info(fmt.Sprintf(format, args...)) }

// Enabled keeps kind from formatting kubeadm's whole output for nobody.
func (l infoLogger) Enabled() bool {
	return l.level == 0 || l.log.Enabled(context.Background(), slog.LevelDebug) //nolint:forbidigo // kind's logger has no context
}

// plain strips emoji and trailing dots, and makes the first letter small as in
// our own progress lines.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > unicode.MaxLatin1 {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(s), "."))
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
