package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"
	"time"

	"labctl.dev/labctl/pkg/version"
)

// fact is a line about where and with what was measured.
type fact struct{ Name, Value string }

// facts tells what the numbers depend on. Nothing of it names the machine.
func (b *bench) facts(ctx context.Context) ([]fact, error) {
	out, err := docker(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return nil, err
	}
	var engine struct {
		NCPU          int
		MemTotal      int64
		ServerVersion string
		CgroupVersion string
		Driver        string
	}
	if err := json.Unmarshal([]byte(out), &engine); err != nil {
		return nil, fmt.Errorf("read what the engine says of itself: %w", err)
	}
	own, _, err := b.labctl(ctx, "version", "-o", "json")
	if err != nil {
		return nil, err
	}
	var labctl version.Info
	if err := json.Unmarshal(own, &labctl); err != nil {
		return nil, fmt.Errorf("read labctl's version: %w", err)
	}
	_, node, _ := strings.Cut(b.images.node, "/")
	kind, err := moduleVersion(b.kind)
	if err != nil {
		return nil, err
	}
	helm, err := moduleVersion(b.helm)
	if err != nil {
		return nil, err
	}
	return []fact{
		{"date", time.Now().UTC().Format(time.DateOnly)},
		{"machine", fmt.Sprintf("%d cores, %.0f GiB", engine.NCPU, float64(engine.MemTotal)/(1<<30))},
		{"engine", fmt.Sprintf("Docker %s, %s, cgroup v%s", engine.ServerVersion, engine.Driver, engine.CgroupVersion)},
		{"labctl", labctl.Version},
		{"kind, Helm", kind + ", " + helm},
		{"node image", node},
		{"rounds", fmt.Sprint(b.rounds)},
	}, nil
}

// moduleVersion reads from a program which version of its module it was built
// from: kind's and Helm's own version texts need flags of their builds.
func moduleVersion(path string) (string, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", err
	}
	for _, m := range info.Deps {
		if info.Path == m.Path || strings.HasPrefix(info.Path, m.Path+"/") {
			return m.Version, nil
		}
	}
	return info.Main.Version, nil
}

// line is a row of a table of times, ratios or sizes.
type line struct {
	Name             string
	Median, Min, Max string
	Samples          string
	Goal             string
}

// summarise writes the numbers of a row with the given digits, and whether the
// goal, an upper limit, was reached.
func summarise(name string, values []float64, digits int, goal float64) line {
	format := func(v float64) string { return fmt.Sprintf("%.*f", digits, v) }
	if len(values) == 0 {
		return line{Name: name, Median: "-", Min: "-", Max: "-", Samples: "0"}
	}
	middle := median(values)
	l := line{
		Name: name, Median: format(middle), Min: format(slices.Min(values)), Max: format(slices.Max(values)),
		Samples: fmt.Sprint(len(values)),
	}
	if goal > 0 {
		verdict := "reached"
		if middle > goal {
			verdict = "missed"
		}
		l.Goal = fmt.Sprintf("≤ %g: %s", goal, verdict)
	}
	return l
}

const page = `| | |
| --- | --- |
{{- range .Facts}}
| {{.Name}} | {{.Value}} |
{{- end}}

Seconds:

| Item | median | min | max | samples | goal |
| --- | ---: | ---: | ---: | ---: | --- |
{{- range .Times}}
| {{.Name}} | {{.Median}} | {{.Min}} | {{.Max}} | {{.Samples}} | {{.Goal}} |
{{- end}}

Ratios, each of two values of the same round:

| Ratio | median | min | max | pairs | goal |
| --- | ---: | ---: | ---: | ---: | --- |
{{- range .Ratios}}
| {{.Name}} | {{.Median}} | {{.Min}} | {{.Max}} | {{.Samples}} | {{.Goal}} |
{{- end}}
{{range .Parts}}
{{.Title}}, seconds:

| Step | median | min | max | samples |
| --- | ---: | ---: | ---: | ---: |
{{- range .Lines}}
| {{.Name}} | {{.Median}} | {{.Min}} | {{.Max}} | {{.Samples}} |
{{- end}}
{{end}}
Memory of the node with the lab up, GB:

| | median | min | max | samples | goal |
| --- | ---: | ---: | ---: | ---: | --- |
{{- range .Memory}}
| {{.Name}} | {{.Median}} | {{.Min}} | {{.Max}} | {{.Samples}} | {{.Goal}} |
{{- end}}

Each lab alone on its cluster, once; seconds, and GB of the node half a minute after up:

| Lab | up | check, fresh | reset | memory |
| --- | ---: | ---: | ---: | ---: |
{{- range .Labs}}
| {{.Name}} | {{.Up}} | {{.Check}} | {{.Reset}} | {{.Memory}} |
{{- end}}
`

// part is the table of an item's steps.
type part struct {
	Title string
	Lines []line
}

// report writes the tables.
func report(w io.Writer, facts []fact, r *results) error {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return err
	}
	times := func(name string, i item, digits int, goal float64) line {
		return summarise("("+string(i)+") "+name, r.samples[i], digits, goal)
	}
	steps := func(title string, i item) part {
		p := part{Title: title}
		for _, s := range r.steps[i] {
			p.Lines = append(p.Lines, summarise(s.name, s.samples, 2, 0))
		}
		return p
	}
	labs := make([]map[string]string, 0, len(r.labs))
	for _, f := range r.labs {
		labs = append(labs, map[string]string{
			"Name": f.name, "Up": fmt.Sprintf("%.1f", f.up), "Check": fmt.Sprintf("%.2f", f.check),
			"Reset": fmt.Sprintf("%.1f", f.reset), "Memory": fmt.Sprintf("%.2f", f.memory),
		})
	}
	return t.Execute(w, map[string]any{
		"Facts": facts, "Labs": labs,
		"Times": []line{
			times("`kind create cluster --wait`", itemKind, 2, 0),
			times("by hand: `kind create`, `kind load`, `helm install --wait`", itemByHand, 2, 0),
			times("`labctl up`, no cluster, images cached", itemUp, 2, 0),
			times("`labctl up`, lab is up", itemUpAgain, 3, 1),
			times("`labctl list`", itemList, 3, 0.08),
			times("`labctl down --all`", itemDown, 2, 0),
			times("`labctl check`, fresh lab, all fail", itemFailed, 2, 2),
			times("`labctl check`, solved lab, all pass", itemPassed, 2, 2),
			times("`labctl reset`", itemReset, 2, 0),
		},
		"Ratios": []line{
			summarise("c/b", r.ratios(itemUp, itemByHand), 2, 0.5),
			summarise("c/a", r.ratios(itemUp, itemKind), 2, 2),
			summarise("i/a", r.ratios(itemReset, itemKind), 2, 0.5),
		},
		"Parts":  []part{steps("Steps of (c), which overlap", itemUp), steps("Steps of (b)", itemByHand)},
		"Memory": []line{summarise("node container", r.samples[itemMemory], 2, 1.8)},
	})
}
