package lab

import (
	"fmt"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/internal/near"
)

func (v *validator) nearMiss(at string, n NearMiss, x index) {
	v.name(at+"id", n.ID)
	v.line(at+"title", n.Title)
	if bases := []string{BaseBefore, BaseSolved}; !slices.Contains(bases, n.Base) {
		v.add(at+"base", "is %q; it can be %s%s", n.Base, strings.Join(bases, " or "), near.Hint(n.Base, bases))
	}
	v.needSteps(at+"steps", n.Steps)
	v.needReferences(at+"mustFail", n.MustFail, x.checks)
	v.references(at+"mayFail", n.MayFail, x.checks)
	v.apart(at+"mayFail", n.MayFail, "mustFail", n.MustFail)
	v.steps(at+"undo", n.Undo)
}

func (v *validator) faults(l *Lab) {
	x := l.index()
	ids := v.unique()
	for i, f := range l.Faults {
		at := fmt.Sprintf("faults[%d].", i)
		v.name(at+"id", f.ID)
		ids.add(at+"id", f.ID)
		v.line(at+"title", f.Title)
		v.text(at+"story", f.Story)
		v.texts(at+"symptoms", f.Symptoms)
		v.needSteps(at+"inject", f.Inject)
		v.needReferences(at+"fails", f.Fails, x.checks)
		v.references(at+"mayFail", f.MayFail, x.checks)
		v.references(at+"mustPass", f.MustPass, x.checks)
		v.apart(at+"mayFail", f.MayFail, "fails", f.Fails)
		v.apart(at+"mustPass", f.MustPass, "fails", f.Fails)
		v.apart(at+"mustPass", f.MustPass, "mayFail", f.MayFail)
		v.hints(at+"hints", f.Hints, "this lab", slices.Concat(x.checks, x.nearMisses), 0)
		v.needSteps(at+"fix", f.Fix)
	}
}

func (v *validator) interview(questions []Question) {
	for i, q := range questions {
		at := fmt.Sprintf("interview[%d].", i)
		v.line(at+"topic", q.Topic)
		v.text(at+"question", q.Question)
		v.texts(at+"points", q.Points)
	}
}

// reference is for the id of something else in the lab.
func (v *validator) reference(field, id, what string, known []string) {
	switch {
	case strings.TrimSpace(id) == "":
		v.add(field, "is required")
	case !slices.Contains(known, id):
		v.add(field, "there is no %s %q%s", what, id, near.Hint(id, known))
	}
}

// references is for ids of checks.
func (v *validator) references(field string, ids, checks []string) {
	seen := v.unique()
	for i, id := range ids {
		at := fmt.Sprintf("%s[%d]", field, i)
		v.reference(at, id, "check", checks)
		seen.add(at, id)
	}
}

func (v *validator) needReferences(field string, ids, checks []string) {
	if len(ids) == 0 {
		v.add(field, "needs at least one check")
	}
	v.references(field, ids, checks)
}

// apart is for lists that contradict each other when they share an entry.
func (v *validator) apart(field string, ids []string, other string, others []string) {
	for i, id := range ids {
		if slices.Contains(others, id) {
			v.add(fmt.Sprintf("%s[%d]", field, i), "%q is in %s too", id, other)
		}
	}
}
