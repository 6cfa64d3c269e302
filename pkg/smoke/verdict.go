package smoke

import (
	"fmt"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/lab"
)

// Case is one check in one state, and whether it was as it must be.
type Case struct {
	Check  string       `json:"check"`
	Want   Want         `json:"want"`
	Status check.Status `json:"status"`
	OK     bool         `json:"ok"`
	// Problem says what is not as it must be.
	Problem string       `json:"problem,omitempty"`
	Result  check.Result `json:"result"`
}

// verdict holds the results of a state against its demands. before has the
// statuses in the state that this one builds on. Checks that were not run, and
// need not be, make no case.
func verdict(l *lab.Lab, s *Stage, results []check.Result, before map[string]check.Status) []Case {
	statuses := map[string]check.Status{}
	for _, r := range results {
		statuses[r.ID] = r.Status
	}
	var cases []Case
	recognised := s.Recognised == ""
	for _, r := range results {
		want, asked := s.Wants[r.ID]
		if !asked || r.Status == check.StatusSkipped && !s.Active[r.ID] {
			continue
		}
		c := Case{Check: r.ID, Want: want, Status: r.Status, Result: r}
		c.Problem = problem(l, s, r, want, statuses, before)
		if want == Fail && r.NearMiss == s.Recognised {
			recognised = true
		}
		c.OK = c.Problem == ""
		cases = append(cases, c)
	}
	if !recognised {
		markUnrecognised(s, cases)
	}
	return cases
}

// markUnrecognised faults the checks that failed as they must, but said it in
// words for something else.
func markUnrecognised(s *Stage, cases []Case) {
	for i := range cases {
		if c := &cases[i]; c.Want == Fail && c.OK {
			c.OK, c.Problem = false, fmt.Sprintf("failed without the words for near-miss %s: %q", s.Recognised, c.Result.Message)
		}
	}
}

func problem(l *lab.Lab, s *Stage, r check.Result, want Want, now, before map[string]check.Status) string {
	if r.Status == check.StatusError {
		return "ended in an error, which is never the learner's doing: " + r.Message
	}
	passed := r.Status == check.StatusPass
	switch want {
	case Any:
		return ""
	case Pass:
		if !passed {
			return fmt.Sprintf("must pass, %s: %s", said(r.Status), r.Message)
		}
	case NotPass:
		if passed {
			return "must not pass, and passes"
		}
	case Fail:
		if r.Status != check.StatusFail {
			return fmt.Sprintf("must fail by itself, %s", said(r.Status))
		}
	case Keep:
		was, known := before[r.ID]
		switch {
		case !known:
			return "" // it was not run in the state before
		case (was == check.StatusPass) == passed:
			return ""
		case r.Status == check.StatusBlocked && touched(l, s, r.ID, now):
			return "" // what it waits for is meant to fail
		}
		return fmt.Sprintf("must be as before (%s), %s: %s", was, said(r.Status), r.Message)
	}
	return ""
}

func said(s check.Status) string {
	switch s {
	case check.StatusPass:
		return "passes"
	case check.StatusFail:
		return "fails"
	case check.StatusBlocked:
		return "is blocked"
	case check.StatusSkipped:
		return "was not run"
	default:
		return "is " + string(s)
	}
}

// touched tells whether a blocked check waits, at one remove or several, only
// for checks that the state is meant to touch.
func touched(l *lab.Lab, s *Stage, id string, now map[string]check.Status) bool {
	_, c, ok := l.Check(id)
	if !ok {
		return false
	}
	for _, after := range c.After {
		if now[after] == check.StatusPass {
			continue
		}
		if w := s.Wants[after]; w != Fail && w != Any && !touched(l, s, after, now) {
			return false
		}
	}
	return true
}
