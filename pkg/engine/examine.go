package engine

import (
	"context"
	"fmt"

	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/ui"
)

// ExamineOptions say what to examine the machine for.
type ExamineOptions struct {
	Labs   []string // empty: all
	Ignore []string
	Fix    bool
}

// Examination is what was found, after what was repaired.
type Examination struct {
	doctor.Report

	Fixed []doctor.Fixed `json:"fixed,omitempty"`
}

// Examine checks the machine against what labs need, and repairs it on demand.
func (e *Engine) Examine(ctx context.Context, o ExamineOptions, sink ui.Sink) (*Examination, error) {
	for _, lab := range o.Labs {
		if _, err := e.lookUp(lab); err != nil {
			return nil, err
		}
	}
	need, err := e.Need(ctx, o.Labs...)
	if err != nil {
		return nil, err
	}
	res := &Examination{Report: e.Doctor.Check(ctx, need, o.Ignore)}
	if !o.Fix || len(res.Fixable()) == 0 {
		return res, nil
	}
	r := newRunner(sink)
	err = r.run(ctx, step{id: "fix", title: "Repair", run: func(ctx context.Context, rep reporter) (note string, err error) {
		res.Fixed, err = e.Doctor.Fix(ctx, res.Report, rep)
		return fmt.Sprintf("%d repaired", len(res.Fixed)), err
	}})
	// Whatever was repaired, the report shows how the machine is now.
	if need, needErr := e.Need(ctx, o.Labs...); needErr == nil {
		res.Report = e.Doctor.Check(ctx, need, o.Ignore)
	}
	return res, err
}
