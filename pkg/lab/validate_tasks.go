package lab

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"labctl.dev/labctl/pkg/internal/near"
)

// maxPoints and maxHint bound numbers that an author could only get wrong.
const (
	maxPoints = 100
	maxHint   = 3
)

var (
	checkID = regexp.MustCompile(`^[A-Z]{2}([1-9]\d?)[a-z]$`)
	// objectName is "Deployment/predictor" or "alias/champion".
	objectName  = regexp.MustCompile(`^[A-Za-z]+/[^\s/]\S*$`)
	identifier  = regexp.MustCompile(`^[a-z][A-Za-z0-9_]*$`)
	placeholder = regexp.MustCompile(`\{([A-Za-z_][\w.-]*)\}`)
)

// Placeholders gives the names in braces of a message.
func Placeholders(text string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// index holds the ids that parts of a lab refer to.
type index struct {
	checks     []string
	nearMisses []string
}

func (l *Lab) index() index {
	var x index
	for _, t := range l.Tasks {
		for _, id := range t.checkIDs() {
			if !slices.Contains(x.checks, id) {
				x.checks = append(x.checks, id)
			}
		}
		x.nearMisses = append(x.nearMisses, t.nearMissIDs()...)
	}
	return x
}

func (t *Task) checkIDs() []string {
	ids := make([]string, 0, len(t.Checks))
	for _, c := range t.Checks {
		ids = append(ids, c.ID)
	}
	return ids
}

func (t *Task) nearMissIDs() []string {
	ids := make([]string, 0, len(t.NearMisses))
	for _, n := range t.NearMisses {
		ids = append(ids, n.ID)
	}
	return ids
}

// tasks checks everything below tasks. A lab without tasks is one under
// construction.
func (v *validator) tasks(l *Lab) {
	x := l.index()
	tasks, checks, nearMisses, alternatives := v.unique(), v.unique(), v.unique(), v.unique()
	for i := range l.Tasks {
		t := &l.Tasks[i]
		at := fmt.Sprintf("tasks[%d].", i)
		v.name(at+"id", t.ID)
		tasks.add(at+"id", t.ID)
		v.line(at+"title", t.Title)
		v.text(at+"why", t.Why)
		v.path(at+"brief", t.Brief, ".md")
		v.objectNames(at+"names", t.Names)
		if len(t.Checks) == 0 {
			v.add(at+"checks", "needs at least one entry")
		}
		for j := range t.Checks {
			c := fmt.Sprintf("%schecks[%d].", at, j)
			v.check(c, i+1, &t.Checks[j], x)
			checks.add(c+"id", t.Checks[j].ID)
		}
		if len(t.Hints) > 0 {
			v.hints(at+"hints", t.Hints, "this task", slices.Concat(t.checkIDs(), t.nearMissIDs()), maxHint)
		}
		v.steps(at+"solution", t.Solution)
		for j, n := range t.NearMisses {
			m := fmt.Sprintf("%snearMisses[%d].", at, j)
			v.nearMiss(m, n, x)
			nearMisses.add(m+"id", n.ID)
		}
		for j, a := range t.Alternatives {
			m := fmt.Sprintf("%salternatives[%d].", at, j)
			v.name(m+"id", a.ID)
			alternatives.add(m+"id", a.ID)
			v.line(m+"title", a.Title)
			v.needSteps(m+"steps", a.Steps)
			v.steps(m+"undo", a.Undo)
		}
	}
	v.cycles(l)
}

// unique makes a set that complains about what is added twice.
func (v *validator) unique() *unique { return &unique{v: v, seen: map[string]bool{}} }

type unique struct {
	v    *validator
	seen map[string]bool
}

func (u *unique) add(field, s string) {
	if s != "" && u.seen[s] {
		u.v.add(field, "%q is there twice", s)
	}
	u.seen[s] = true
}

func (v *validator) objectNames(field string, names []string) {
	seen := v.unique()
	for i, n := range names {
		at := fmt.Sprintf("%s[%d]", field, i)
		if !objectName.MatchString(n) {
			v.add(at, "is %q; a name looks like Deployment/predictor, Service/predictor:8080 or alias/champion", n)
		}
		seen.add(at, n)
	}
}

func (v *validator) check(at string, task int, c *Check, x index) {
	switch m := checkID.FindStringSubmatch(c.ID); {
	case c.ID == "":
		v.add(at+"id", "is required")
	case m == nil:
		v.add(at+"id", "is %q; the id of a check is two capitals, the number of its task and a letter, as MR%da", c.ID, task)
	case m[1] != fmt.Sprint(task):
		v.add(at+"id", "is %q, but the task is number %d", c.ID, task)
	}
	v.upTo(at+"points", c.Points, maxPoints)
	v.probe(strings.TrimSuffix(at, "."), c.Probe)
	for _, name := range slices.Sorted(maps.Keys(c.With)) {
		v.variable(at+"with."+name, name)
		v.probe(at+"with."+name, c.With[name])
	}
	v.text(at+"expect", c.Expect)
	v.values(at+"values", c.Values)
	v.fail(at+"fail", c, x)
	v.between(at+"deadline", c.Deadline, minDeadline, maxDeadline)
	v.between(at+"interval", c.Interval, minInterval, max(minInterval, c.Deadline))
	if c.StableFor != 0 {
		v.between(at+"stableFor", c.StableFor, minDeadline, max(minDeadline, c.Deadline))
	}
	v.references(at+"after", c.After, x.checks)
	for i, id := range c.After {
		if id == c.ID {
			v.add(fmt.Sprintf("%safter[%d]", at, i), "a check can't come after itself")
		}
	}
	if strings.Contains(c.Active, "\n") {
		v.add(at+"active", "must be one line")
	}
}

// variable is for the names of further probes, which become CEL variables.
func (v *validator) variable(field, name string) {
	reserved := []string{
		"lab", "values", "in", "as", "true", "false", "null", "if", "for", "var", "let", "const", "import", "function",
		"break", "continue", "else", "loop", "namespace", "package", "return", "void", "while",
	}
	for _, kind := range ProbeKinds() {
		reserved = append(reserved, Variables(kind)...)
	}
	switch {
	case !identifier.MatchString(name):
		v.add(field, "%q can't be a variable; one begins with a small letter and has letters, digits and _", name)
	case slices.Contains(reserved, name):
		v.add(field, "%q is taken; choose another name", name)
	}
}

// Variables lists the CEL variables of a kind of probe.
func Variables(kind string) []string {
	switch kind {
	case ProbeKube:
		return []string{"object", "objects"}
	case ProbeHTTP:
		return []string{"status", "headers", "body", "json"}
	case ProbePromQL:
		return []string{"series", "value", "n"}
	case ProbeMLflow:
		return []string{"result", "status", "errorCode"}
	case ProbeExec:
		return []string{"exitCode", "stdout", "json"}
	default:
		return nil
	}
}

func (v *validator) values(field string, values map[string]string) {
	for _, name := range []string{"found", "expected"} {
		if _, ok := values[name]; !ok {
			v.add(field, "needs %q: messages and receipts show what was found and what is expected", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := field + "." + name
		switch {
		case !identifier.MatchString(name):
			v.add(at, "%q can't be a name; one begins with a small letter and has letters, digits and _", name)
		case name == "where":
			v.add(at, "is filled in from the probe")
		}
		v.text(at, values[name])
	}
}

func (v *validator) fail(field string, c *Check, x index) {
	if len(c.Fail) == 0 {
		v.add(field, "is required: what a failing check says")
		return
	}
	known := append(slices.Sorted(maps.Keys(c.Values)), "where")
	last := len(c.Fail) - 1
	for i, f := range c.Fail {
		at := fmt.Sprintf("%s[%d]", field, i)
		v.text(at+".text", f.Text)
		for _, name := range Placeholders(f.Text) {
			if !slices.Contains(known, name) {
				v.add(at+".text", "{%s} is none of the check's values%s", name, near.Hint(name, known))
			}
		}
		switch {
		case i < last && f.When == "":
			v.add(at, "needs a `when`: only the last case has none")
		case i == last && f.When != "":
			v.add(at+".when", "the last case has no `when`: it is for everything else")
		}
		if f.NearMiss != "" {
			v.reference(at+".nearMiss", f.NearMiss, "near-miss", x.nearMisses)
		}
	}
}

// hints checks a ladder. Every level up to least, and every one up to the
// highest in use, has exactly one hint for all cases.
func (v *validator) hints(field string, hints []Hint, owner string, known []string, least int) {
	plain := map[int]int{}
	highest := least
	for i, h := range hints {
		at := fmt.Sprintf("%s[%d].", field, i)
		v.upTo(at+"level", h.Level, maxHint)
		v.text(at+"text", h.Text)
		if h.When == "" {
			if plain[h.Level]++; plain[h.Level] == 2 && h.Level > 0 {
				v.add(at+"level", "is the second hint of level %d without `when`", h.Level)
			}
			continue
		}
		if !slices.Contains(known, h.When) {
			v.add(at+"when", "%q is no check or near-miss of %s%s", h.When, owner, near.Hint(h.When, known))
		}
	}
	for _, h := range hints {
		highest = max(highest, min(h.Level, maxHint))
	}
	for level := 1; level <= highest; level++ {
		if plain[level] == 0 {
			v.add(field, "level %d needs a hint without `when`", level)
		}
	}
}

// cycles follows `after` from check to check.
func (v *validator) cycles(l *Lab) {
	after, field := map[string][]string{}, map[string]string{}
	for i, t := range l.Tasks {
		for j, c := range t.Checks {
			if _, twice := field[c.ID]; !twice {
				after[c.ID], field[c.ID] = c.After, fmt.Sprintf("tasks[%d].checks[%d].after", i, j)
			}
		}
	}
	done := map[string]bool{}
	var follow func(id string, way []string)
	follow = func(id string, way []string) {
		if i := slices.Index(way, id); i >= 0 {
			// One check after itself has a message of its own.
			if len(way)-i > 1 {
				v.add(field[id], "goes in a circle: %s", strings.Join(append(slices.Clone(way[i:]), id), " after "))
			}
			return
		}
		if done[id] {
			return
		}
		way = append(way, id)
		for _, next := range after[id] {
			if _, ok := field[next]; ok {
				follow(next, way)
			}
		}
		done[id] = true
	}
	for _, t := range l.Tasks {
		for _, c := range t.Checks {
			follow(c.ID, nil)
		}
	}
}
