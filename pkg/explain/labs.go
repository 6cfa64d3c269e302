package explain

import (
	"fmt"
	"strings"

	"labctl.dev/labctl/pkg/lab"
)

// ofLab explains a lab, its tasks and its checks.
func ofLab(l *lab.Lab) []Entry {
	m := l.Metadata
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n\nLevel %d, about %d minutes.", strings.TrimRight(m.Promise, "."), m.Level, m.Minutes)
	if len(l.Layer.MLOps) > 0 {
		fmt.Fprintf(&b, " It is about %s.", strings.Join(l.Layer.MLOps, ", "))
	}
	if len(l.Analogies) > 0 {
		b.WriteString("\n\n| you know | here it is |\n| --- | --- |\n")
		for _, a := range l.Analogies {
			fmt.Fprintf(&b, "| %s | %s |\n", cell(a.Know), cell(a.New))
		}
	}
	if len(l.Tasks) > 0 {
		b.WriteString("\n")
		for i := range l.Tasks {
			fmt.Fprintf(&b, "%d. %s (`%s`, %d points)\n", i+1, l.Tasks[i].Title, l.Tasks[i].ID, l.Tasks[i].Points())
		}
	}
	list := []Entry{{Kind: Lab, Name: m.Name, Title: m.Title, Text: strings.TrimSpace(b.String()), See: l.Layer.MLOps}}
	for i := range l.Tasks {
		list = append(list, ofTask(l, &l.Tasks[i])...)
	}
	return list
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func ofTask(l *lab.Lab, t *lab.Task) []Entry {
	text := fmt.Sprintf("A task of the lab %s, %d points. %s\n\nWhat to do: `labctl task %s %s`.", code(l.Metadata.Name), t.Points(), t.Why, l.Metadata.Name, t.ID)
	list := []Entry{{Kind: Task, Name: t.ID, Title: t.Title, Text: text}}
	for i, c := range t.Checks {
		list = append(list, Entry{Kind: Check, Name: c.ID, Title: t.Title, Text: ofCheck(l, t, i)})
	}
	return list
}

// ofCheck says what a check looks at, never what it expects: that is the
// learner's to find out, with the brief.
func ofCheck(l *lab.Lab, t *lab.Task, i int) string {
	c := &t.Checks[i]
	lines := []string{fmt.Sprintf("A check of the task %s of the lab %s, for %d of its %d points.", code(t.ID), code(l.Metadata.Name), c.Points, t.Points())}
	if t.IsEssential(i) {
		lines[0] += " Without it the task is not passed."
	}
	if looks := target(c.Probe); looks != "" {
		lines = append(lines, "It looks at "+looks+".")
	}
	if c.Why != "" {
		lines = append(lines, "Why it matters: "+c.Why)
	}
	if c.IsActive() {
		lines = append(lines, fmt.Sprintf("It changes the lab for a moment: it %s. So it runs only when you agree.", strings.TrimRight(c.Active, ".")))
	}
	if len(c.After) > 0 {
		lines = append(lines, "It waits for "+strings.Join(c.After, ", ")+".")
	}
	if c.Latch {
		lines = append(lines, "Once passed, it stays passed.")
	}
	return strings.Join(append(lines, fmt.Sprintf("Run it: `labctl check %s %s`.", l.Metadata.Name, t.ID)), "\n\n")
}

// code sets a name off, in Markdown.
func code(s string) string { return "`" + s + "`" }

// target names what a probe looks at.
func target(p lab.Probe) string {
	switch p.Kind() {
	case lab.ProbeKube:
		if p.Kube.Name != "" {
			return "the object " + code(p.Kube.Kind+"/"+p.Kube.Name)
		}
		return "objects of the kind " + code(p.Kube.Kind)
	case lab.ProbeHTTP:
		return fmt.Sprintf("the answer of `%s %s:%d%s`", p.HTTP.Method, p.HTTP.Service, p.HTTP.Port, p.HTTP.Path)
	case lab.ProbePromQL:
		return "metrics in Prometheus"
	case lab.ProbeMLflow:
		return "the model registry"
	case lab.ProbeExec:
		return "what " + code(p.Exec.Argv[0]) + " says in the workbench"
	default:
		return ""
	}
}
