package cmdutil

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"labctl.dev/labctl/pkg/iostreams"
)

// Confirm asks a question that a person answers with yes or no; without an
// answer it is no.
type Confirm = func(ctx context.Context, question string) (bool, error)

// Confirmer gives a Confirm that asks on the terminal, and nil where nobody can
// answer.
func Confirmer(s *iostreams.Streams) Confirm {
	if !s.InTTY() {
		return nil
	}
	return func(ctx context.Context, question string) (bool, error) {
		if _, err := fmt.Fprintf(s.ErrOut, "%s [y/N] ", question); err != nil {
			return false, err
		}
		line := make(chan string, 1)
		go func() {
			// Reading can't be cancelled; after Ctrl-C it ends with the process.
			text, _ := bufio.NewReader(s.In).ReadString('\n')
			line <- text
		}()
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case text := <-line:
			switch strings.ToLower(strings.TrimSpace(text)) {
			case "y", "yes":
				return true, nil
			default:
				return false, nil
			}
		}
	}
}
