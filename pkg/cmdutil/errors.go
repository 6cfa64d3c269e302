package cmdutil

import "fmt"

// ReportedError ends a command whose result already says what is wrong; only the
// exit code is left to tell.
type ReportedError struct{ Code int }

func (e *ReportedError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }
