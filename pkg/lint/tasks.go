package lint

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"labctl.dev/labctl/pkg/lab"
)

// hintLevels is how many steps the ladder of a task has.
const hintLevels = 3

// maxMessage is what a person reads at a glance.
const maxMessage = 240

// tasks looks at what a learner reads: briefs, hints, messages.
func (r *run) tasks() {
	if len(r.lab.Tasks) == 0 {
		r.add("tasks-missing", Error, "tasks", "a lab needs at least one task")
		return
	}
	for i := range r.lab.Tasks {
		t := &r.lab.Tasks[i]
		at := fieldOf("tasks", i)
		if len(t.Hints) == 0 {
			r.add("hints-missing", Error, at+".hints", "a task needs a hint of each level, 1 to %d", hintLevels)
		}
		if len(t.Solution) == 0 {
			r.add("solution-missing", Error, at+".solution", "a task needs a solution: `labctl solve` and the proof of its checks run it")
		}
		r.hints(at, t)
	}
	eachCheck(r.lab, func(field string, _ *lab.Task, c *lab.Check) {
		for i, f := range c.Fail {
			at := fieldOf(field+".fail", i) + ".text"
			if n := utf8.RuneCountInString(f.Text); n > maxMessage {
				r.add("message", Note, at, "has %d characters; %d are read", n, maxMessage)
			}
			if strings.Contains(strings.ReplaceAll(f.Text, "!=", ""), "!") {
				r.add("message", Note, at, "has an exclamation mark; say what was found")
			}
		}
		if text := messages(c); !slices.Contains(text, "found") {
			r.add("message", Note, field+".fail", "no message says {found}")
		}
	})
}

func messages(c *lab.Check) []string {
	var names []string
	for _, f := range c.Fail {
		names = append(names, lab.Placeholders(f.Text)...)
	}
	return names
}

// hints reports those that nobody will ever see.
func (r *run) hints(at string, t *lab.Task) {
	for i, h := range t.Hints {
		isNearMiss := slices.ContainsFunc(t.NearMisses, func(n lab.NearMiss) bool { return n.ID == h.When })
		if !isNearMiss || slices.ContainsFunc(t.Checks, func(c lab.Check) bool { return c.ID == h.When }) {
			continue
		}
		if !r.recognised(h.When) {
			r.add("hint-never-shown", Error, fieldOf(at+".hints", i)+".when",
				"no check recognises near-miss %s; name it in a `fail` case", h.When)
		}
	}
}

// recognised tells whether a check has words of its own for a near-miss.
func (r *run) recognised(nearMiss string) bool {
	found := false
	eachCheck(r.lab, func(_ string, _ *lab.Task, c *lab.Check) {
		found = found || slices.ContainsFunc(c.Fail, func(f lab.FailCase) bool { return f.NearMiss == nearMiss })
	})
	return found
}

// names holds what the checks of a task use against what its brief says.
// fixed are the names that the lab's chart brings.
func (r *run) names(fixed []string) {
	var told strings.Builder // what the briefs up to this task say
	for i := range r.lab.Tasks {
		t := &r.lab.Tasks[i]
		brief, err := r.read(t.Brief)
		if err != nil {
			continue // has a finding of its own
		}
		told.Write(brief)
		for j, n := range t.Names {
			name, _, _ := strings.Cut(n[strings.Index(n, "/")+1:], ":")
			if !mentions(string(brief), name) {
				r.add("brief-name", Error, fieldOf(fieldOf("tasks", i)+".names", j), "%s does not name %s", t.Brief, name)
			}
		}
		for j := range t.Checks {
			field := fieldOf(fieldOf("tasks", i)+".checks", j)
			probes := probesOf(field, &t.Checks[j])
			for _, at := range slices.Sorted(maps.Keys(probes)) {
				r.probeNames(at, probes[at], t, string(brief), told.String(), fixed)
			}
		}
	}
}

func (r *run) probeNames(at string, p lab.Probe, t *lab.Task, brief, told string, fixed []string) {
	need := func(field, kind, name string) {
		if name == "" || slices.Contains(fixed, name) {
			return
		}
		if !mentions(brief, name) {
			r.add("brief-name", Error, field, "%s does not name %s %s, which the check looks for", t.Brief, kind, name)
		}
		listed := slices.ContainsFunc(t.Names, func(n string) bool {
			k, rest, _ := strings.Cut(n, "/")
			rest, _, _ = strings.Cut(rest, ":")
			return k == kind && rest == name
		})
		if !listed {
			r.add("name-unlisted", Error, field, "%s/%s is not in the task's `names`", kind, name)
		}
	}
	switch {
	case p.Kube != nil:
		need(at+".kube.name", p.Kube.Kind, p.Kube.Name)
	case p.HTTP != nil:
		need(at+".http.service", "Service", p.HTTP.Service)
	case p.MLflow != nil:
		for _, name := range registryNames(p.MLflow) {
			if name != "" && !mentions(told, name) {
				r.add("brief-name", Note, at+".mlflow", "no brief up to this task names %s, which the check looks for", name)
			}
		}
	}
}

// registryNames are what a learner must call things in MLflow.
func registryNames(p *lab.MLflowProbe) []string {
	switch {
	case p.Alias != nil:
		return []string{p.Alias.Model, p.Alias.Name}
	case p.Version != nil:
		return []string{p.Version.Model}
	case p.Versions != nil:
		return []string{p.Versions.Model}
	case p.Run != nil:
		return []string{p.Run.Experiment, p.Run.Name}
	case p.Runs != nil:
		return []string{p.Runs.Experiment}
	case p.Artifact != nil:
		return []string{p.Artifact.Model, p.Artifact.Experiment, p.Artifact.Run}
	default:
		return nil
	}
}

// mentions tells whether a text has a name as a word.
func mentions(text, name string) bool {
	re, err := regexp.Compile(`(^|[^\w.-])` + regexp.QuoteMeta(name) + `($|[^\w-])`)
	return err == nil && re.MatchString(text)
}
