package cmdutil

import (
	"fmt"
	"strings"

	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/progress"
)

// ScoreLine says a lab's score in a line.
func ScoreLine(s practice.Score) string {
	text := fmt.Sprintf("%d of %d points", s.Earned, s.Max)
	if s.BonusMax > 0 && s.Bonus > 0 {
		text += fmt.Sprintf(", and %d of %d for faults", s.Bonus, s.BonusMax)
	}
	switch {
	case s.Distinction:
		return text + ": passed with distinction"
	case s.Passed:
		return text + ": passed"
	default:
		return text
	}
}

// LostLine names the checks that do not pass any more, of a task that stands
// without them.
func LostLine(t progress.TaskScore) string {
	if len(t.Lost) == 0 {
		return ""
	}
	return strings.Join(t.Lost, ", ") + " not any more"
}

// TaskLine says where a task stands in a line.
func TaskLine(t progress.TaskScore) string {
	parts := []string{fmt.Sprintf("%d of %d points", t.Earned, t.Max)}
	switch t.State {
	case progress.TaskPassed:
		parts = append(parts, "passed")
		if lost := LostLine(t); lost != "" {
			parts = append(parts, lost)
		}
	case progress.TaskSolved:
		parts = append(parts, "solved by labctl")
	case progress.TaskRegressed:
		parts = append(parts, "passed before, does not now")
	default:
	}
	if t.HintCost > 0 {
		parts = append(parts, fmt.Sprintf("hints -%d", t.HintCost))
	}
	return strings.Join(parts, ", ")
}
