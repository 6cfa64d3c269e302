package ui_test

import (
	"bytes"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/ui"
)

// story is a run that shows every kind of event.
func story(s ui.Sink, later func(time.Duration)) {
	s.Emit(ui.Event{Kind: ui.StepSkip, Step: "preflight", Title: "Machine", Text: "fit"})
	s.Emit(ui.Event{Kind: ui.StepStart, Step: "images", Title: "Images"})
	s.Emit(ui.Event{Kind: ui.StepStart, Step: "cluster", Title: "Cluster"})
	s.Emit(ui.Event{Kind: ui.Row, Step: "images", Item: "mlflow", State: ui.Working, Text: "pulling", Done: 1_500_000, Total: 220_000_000, Unit: ui.Bytes})
	s.Emit(ui.Event{Kind: ui.Row, Step: "images", Item: "mlflow", State: ui.Working, Text: "pulling", Done: 3_000_000, Total: 220_000_000, Unit: ui.Bytes})
	later(20 * time.Second)
	s.Emit(ui.Event{Kind: ui.Row, Step: "images", Item: "mlflow", State: ui.Working, Text: "pulling", Done: 9_000_000, Total: 220_000_000, Unit: ui.Bytes})
	s.Emit(ui.Event{Kind: ui.StepUpdate, Step: "cluster", Text: "starting the control plane"})
	s.Emit(ui.Event{Kind: ui.Row, Step: "images", Item: "mlflow", State: ui.Ready, Text: "pulled"})
	s.Emit(ui.Event{Kind: ui.StepDone, Step: "images", Title: "Images", Text: "1 pulled", Elapsed: 20 * time.Second})
	s.Emit(ui.Event{Kind: ui.Warn, Text: "inotify limits are low"})
	s.Emit(ui.Event{Kind: ui.StepFail, Step: "cluster", Title: "Cluster", Text: "no space left", Elapsed: 65 * time.Second})
	s.Emit(ui.Event{Kind: ui.Note, Text: "The half-made cluster was removed."})
}

func TestPlain(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var out bytes.Buffer
	story(ui.NewPlain(&out, func() time.Time { return now }), func(d time.Duration) { now = now.Add(d) })
	golden.Equal(t, out.Bytes(), "plain.txt")
}

func TestTTYLeavesFinishedStepsOnly(t *testing.T) {
	t.Parallel()
	for _, color := range []bool{false, true} {
		var out bytes.Buffer
		tty := ui.NewTTY(&out, func() int { return 60 }, color, func() time.Time { return time.Unix(0, 0) })
		story(tty, func(time.Duration) {})
		tty.Close()
		tty.Close() // closing twice is allowed
		name := "tty.txt"
		if color {
			name = "tty-color.txt"
		}
		golden.Equal(t, screen(out.Bytes(), 40), name)
	}
}

// screen replays what a terminal would show in the end: it knows the two
// sequences that the renderer uses, cursor up and erase below.
func screen(raw []byte, rows int) []byte {
	lines := make([][]byte, 1, rows)
	for len(raw) > 0 {
		switch {
		case bytes.HasPrefix(raw, []byte("\x1b[J")):
			lines[len(lines)-1] = nil
			raw = raw[3:]
		case bytes.HasPrefix(raw, []byte("\x1b[")) && bytes.IndexByte(raw, 'A') > 0 && bytes.IndexByte(raw, 'A') < 6:
			end := bytes.IndexByte(raw, 'A')
			up := 1
			if n := raw[2:end]; len(n) > 0 {
				up = 0
				for _, d := range n {
					up = up*10 + int(d-'0')
				}
			}
			lines = lines[:len(lines)-up]
			raw = raw[end+1:]
		case raw[0] == '\r':
			raw = raw[1:]
		case raw[0] == '\n':
			lines = append(lines, nil)
			raw = raw[1:]
		default:
			lines[len(lines)-1] = append(lines[len(lines)-1], raw[0])
			raw = raw[1:]
		}
	}
	return bytes.Join(lines, []byte("\n"))
}
