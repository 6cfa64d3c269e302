package execx

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Fake is a Runner for tests: it records every command and answers from a
// list of rules. It is safe for concurrent use.
type Fake struct {
	mu    sync.Mutex
	rules []Rule
	calls []string
}

var _ Runner = (*Fake)(nil)

// Rule answers every command whose line starts with Prefix.
type Rule struct {
	Prefix string
	Stdout string
	Err    error
	// Do, when set, runs instead of the fixed answer.
	Do func(ctx context.Context, c Cmd) error
}

// NewFake makes a Fake; the first rule that fits wins, no rule is an error.
func NewFake(rules ...Rule) *Fake { return &Fake{rules: rules} }

// Run records the command and answers it.
func (f *Fake) Run(ctx context.Context, c Cmd) error {
	line := c.String()
	f.mu.Lock()
	f.calls = append(f.calls, line)
	rules := f.rules
	f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	for _, r := range rules {
		if !strings.HasPrefix(line, r.Prefix) {
			continue
		}
		if r.Do != nil {
			return r.Do(ctx, c)
		}
		if c.Stdout != nil {
			if _, err := io.WriteString(c.Stdout, r.Stdout); err != nil {
				return err
			}
		}
		return r.Err
	}
	return fmt.Errorf("fake runner: unexpected command %q", line)
}

// Calls gives the command lines so far.
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}
