package cmdutil

import "fmt"

// Reported ends a command whose result already says what is wrong; only the
// exit code is left to tell.
type Reported struct{ Code int }

func (e *Reported) Error() string { return fmt.Sprintf("exit code %d", e.Code) }
