package practice

import (
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/lab"
)

// UnknownTask is the error for a task that a lab does not have.
func UnknownTask(l *lab.Lab, id string) error {
	if len(l.Tasks) == 0 {
		return clierr.Usage("", "%s has no tasks yet", l.Metadata.Name)
	}
	ids := make([]string, 0, len(l.Tasks))
	for _, t := range l.Tasks {
		ids = append(ids, t.ID)
	}
	return clierr.Usage("its tasks: "+strings.Join(ids, ", "), "%s has no task %q%s", l.Metadata.Name, id, near.Hint(id, ids))
}
