package lab

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"labctl.dev/labctl/pkg/internal/near"
)

// Bounds of durations: a typing mistake must not hang a check for a day.
const (
	minInterval = 500 * time.Millisecond
	minDeadline = time.Second
	maxDeadline = 15 * time.Minute
)

var (
	apiVersion = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$`)
	kindName   = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	subdomain  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$`)
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// probe is for something that has one of the probe kinds at field.
func (v *validator) probe(field string, p Probe) {
	kinds := p.Kinds()
	if len(kinds) != 1 {
		what := "has none"
		if len(kinds) > 1 {
			what = "has " + strings.Join(kinds, " and ")
		}
		v.add(field, "needs exactly one probe of %s; it %s", strings.Join(ProbeKinds(), ", "), what)
	}
	if p.Kube != nil {
		v.kube(field+".kube.", p.Kube)
	}
	if p.HTTP != nil {
		v.http(field+".http.", p.HTTP)
	}
	if p.PromQL != nil {
		v.text(field+".promql.query", p.PromQL.Query)
	}
	if p.MLflow != nil {
		v.mlflow(field+".mlflow", p.MLflow)
	}
	if p.Exec != nil {
		v.exec(field+".exec.", p.Exec)
	}
}

func (v *validator) kube(at string, p *KubeProbe) {
	v.matches(at+"apiVersion", p.APIVersion, apiVersion, "a version of an API, as v1 or apps/v1")
	v.matches(at+"kind", p.Kind, kindName, "a kind, as Deployment")
	if p.Name != "" {
		v.matches(at+"name", p.Name, subdomain, "the name of an object")
		if p.Selector != "" {
			v.add(at+"selector", "goes without `name`: one object has a name, several have a selector")
		}
	}
	v.selector(at+"selector", p.Selector)
}

func (v *validator) http(at string, p *HTTPProbe) {
	v.matches(at+"service", p.Service, dnsLabel, "the name of a Service")
	v.upTo(at+"port", p.Port, 65535)
	u, err := url.ParseRequestURI(p.Path)
	switch {
	case err != nil || !strings.HasPrefix(p.Path, "/") || strings.ContainsAny(p.Path, " \t\n#"):
		v.add(at+"path", "is %q; a path begins with / and is escaped where needed", p.Path)
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		// The request goes through the API server, where it would leave the Service.
		v.add(at+"path", "is %q; a path has no ..", p.Path)
	}
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	if !slices.Contains(methods, p.Method) {
		v.add(at+"method", "is %q; it can be %s%s", p.Method, strings.Join(methods, ", "), near.Hint(p.Method, methods))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		field := at + "headers." + name
		switch {
		case !headerName.MatchString(name):
			v.add(field, "%q can't be the name of a header", name)
		case strings.EqualFold(name, "Authorization"):
			v.add(field, "the API server takes it off the request")
		case strings.EqualFold(name, "Host"):
			v.add(field, "is always localhost and the port, so that a check works on every cluster")
		case strings.ContainsAny(p.Headers[name], "\r\n"):
			v.add(field, "must be one line")
		}
	}
	if p.Body != "" && p.BodyFile != "" {
		v.add(at+"bodyFile", "goes without `body`")
	}
	if p.BodyFile != "" {
		v.path(at+"bodyFile", p.BodyFile)
	}
}

func (v *validator) exec(at string, p *ExecProbe) {
	switch {
	case len(p.Argv) == 0:
		v.add(at+"argv", "needs at least one entry")
	case strings.TrimSpace(p.Argv[0]) == "":
		v.add(at+"argv[0]", "is required: the command")
	}
	v.selector(at+"selector", p.Selector)
	if p.Container != "" {
		v.matches(at+"container", p.Container, dnsLabel, "the name of a container")
	}
	v.between(at+"timeout", p.Timeout, minDeadline, maxDeadline)
}

func (v *validator) mlflow(field string, p *MLflowProbe) {
	kinds := []string{"alias", "version", "versions", "run", "runs", "artifact"}
	set := []bool{p.Alias != nil, p.Version != nil, p.Versions != nil, p.Run != nil, p.Runs != nil, p.Artifact != nil}
	var found []string
	for i, is := range set {
		if is {
			found = append(found, kinds[i])
		}
	}
	if len(found) != 1 {
		what := "has none"
		if len(found) > 1 {
			what = "has " + strings.Join(found, " and ")
		}
		v.add(field, "needs exactly one of %s; it %s", strings.Join(kinds, ", "), what)
	}
	if p.Alias != nil {
		v.text(field+".alias.model", p.Alias.Model)
		v.text(field+".alias.name", p.Alias.Name)
	}
	if p.Version != nil {
		v.text(field+".version.model", p.Version.Model)
		v.text(field+".version.version", p.Version.Version)
	}
	if p.Versions != nil {
		v.text(field+".versions.model", p.Versions.Model)
	}
	if p.Run != nil {
		v.text(field+".run.experiment", p.Run.Experiment)
		v.text(field+".run.name", p.Run.Name)
	}
	if p.Runs != nil {
		v.text(field+".runs.experiment", p.Runs.Experiment)
		states := []string{"FINISHED", "RUNNING", "SCHEDULED", "FAILED", "KILLED"}
		if !slices.Contains(states, p.Runs.Status) {
			v.add(field+".runs.status", "is %q; it can be %s%s", p.Runs.Status, strings.Join(states, ", "), near.Hint(p.Runs.Status, states))
		}
	}
	if p.Artifact != nil {
		v.artifact(field+".artifact", p.Artifact)
	}
}

func (v *validator) artifact(field string, a *MLflowArtifact) {
	ofModel, ofRun := a.Model != "" || a.Version != "", a.Experiment != "" || a.Run != ""
	switch {
	case ofModel && ofRun, !ofModel && !ofRun:
		v.add(field, "needs either model and version, or experiment and run")
	case ofModel:
		v.text(field+".model", a.Model)
		v.text(field+".version", a.Version)
	default:
		v.text(field+".experiment", a.Experiment)
		v.text(field+".run", a.Run)
	}
	v.path(field+".path", a.Path)
}

func (v *validator) needSteps(field string, steps []Step) {
	if len(steps) == 0 {
		v.add(field, "needs at least one step")
	}
	v.steps(field, steps)
}

func (v *validator) steps(field string, steps []Step) {
	for i, s := range steps {
		at := fmt.Sprintf("%s[%d]", field, i)
		n := 0
		if s.Apply != "" {
			n++
			v.path(at+".apply", s.Apply, ".yaml", ".yml", ".json")
		}
		if s.Exec != nil {
			n++
			v.exec(at+".exec.", s.Exec)
		}
		if s.Wait != nil {
			n++
			v.probe(at+".wait", s.Wait.Probe)
			v.text(at+".wait.expect", s.Wait.Expect)
			v.between(at+".wait.deadline", s.Wait.Deadline, minDeadline, maxDeadline)
		}
		if n != 1 {
			v.add(at, "a step is exactly one of apply, exec, wait; this has %d", n)
		}
	}
}

// path is for a file of the lab's directory, with one of the endings.
func (v *validator) path(field, p string, endings ...string) {
	switch {
	case strings.TrimSpace(p) == "":
		v.add(field, "is required")
	case !fs.ValidPath(p) || p == "." || strings.ContainsAny(p, "\\:\n"):
		v.add(field, "is %q; a path is relative to the lab's directory, with / and without ..", p)
	case len(endings) > 0 && !slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(p, e) }):
		v.add(field, "is %q; it must end in %s", p, strings.Join(endings, " or "))
	}
}

func (v *validator) matches(field, s string, re *regexp.Regexp, what string) {
	switch {
	case s == "":
		v.add(field, "is required")
	case len(s) > 253 || !re.MatchString(s):
		v.add(field, "is %q; it must be %s", s, what)
	}
}

func (v *validator) selector(field, s string) {
	if _, err := labels.Parse(s); err != nil {
		v.add(field, "is %q; a selector looks like app=workbench", s)
	}
}

func (v *validator) between(field string, d, low, high time.Duration) {
	if d < low || d > high {
		v.add(field, "is %s; it can be %s to %s", d, low, high)
	}
}
