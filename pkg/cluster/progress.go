package cluster

import (
	"bytes"
	"strings"
)

// scanProgress splits what a progress display prints: it redraws lines with
// carriage returns and escape sequences.
func scanProgress(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// pullProgress picks the line of `ctr images pull` that says how much has come:
// "elapsed: 2.5 s  total:  120.1 M (48.0 MiB/s)".
func pullProgress(line string) string {
	_, rest, ok := strings.Cut(line, "total:")
	if !ok {
		return ""
	}
	return strings.Join(strings.Fields(rest), " ")
}
