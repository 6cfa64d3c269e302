package lab

import "time"

// Probe looks at one thing; exactly one of its fields is set. What it sees
// becomes CEL variables, listed at each kind.
type Probe struct {
	Kube   *KubeProbe   `yaml:"kube"`
	HTTP   *HTTPProbe   `yaml:"http"`
	PromQL *PromQLProbe `yaml:"promql"`
	MLflow *MLflowProbe `yaml:"mlflow"`
	Exec   *ExecProbe   `yaml:"exec"`
}

// The kinds of probes, by the name of their field.
const (
	ProbeKube   = "kube"
	ProbeHTTP   = "http"
	ProbePromQL = "promql"
	ProbeMLflow = "mlflow"
	ProbeExec   = "exec"
)

// ProbeKinds lists the kinds of probes.
func ProbeKinds() []string {
	return []string{ProbeKube, ProbeHTTP, ProbePromQL, ProbeMLflow, ProbeExec}
}

// Kinds gives the kinds that are set; a valid probe has one.
func (p Probe) Kinds() []string {
	var kinds []string
	for i, set := range []bool{p.Kube != nil, p.HTTP != nil, p.PromQL != nil, p.MLflow != nil, p.Exec != nil} {
		if set {
			kinds = append(kinds, ProbeKinds()[i])
		}
	}
	return kinds
}

// Kind gives the kind of a valid probe, and nothing for another.
func (p Probe) Kind() string {
	if kinds := p.Kinds(); len(kinds) == 1 {
		return kinds[0]
	}
	return ""
}

// KubeProbe reads objects of the lab's namespace. CEL: object (null when it
// isn't there), or without Name objects (a list).
type KubeProbe struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Name       string `yaml:"name"`
	Selector   string `yaml:"selector"`
}

// HTTPProbe asks a Service through the API server. CEL: status (0: no answer),
// headers (lower-case names), body, json (null when the body is none).
type HTTPProbe struct {
	Service string            `yaml:"service"`
	Port    int               `yaml:"port"`
	Path    string            `yaml:"path"`
	Method  string            `yaml:"method"`
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	// BodyFile is a file of the lab's directory.
	BodyFile string `yaml:"bodyFile"`
}

// PromQLProbe is an instant query on the lab's Prometheus. CEL: series (a list
// of {labels, value, timestamp}), value (that of the first), n.
type PromQLProbe struct {
	Query string `yaml:"query"`
}

// MLflowProbe asks the lab's MLflow; exactly one field is set. CEL: result
// (null or an empty list when there is none), status, errorCode.
type MLflowProbe struct {
	Alias    *MLflowAlias    `yaml:"alias"`
	Version  *MLflowVersion  `yaml:"version"`
	Versions *MLflowVersions `yaml:"versions"`
	Run      *MLflowRun      `yaml:"run"`
	Runs     *MLflowRuns     `yaml:"runs"`
	Artifact *MLflowArtifact `yaml:"artifact"`
}

// MLflowAlias is the version that an alias points to.
type MLflowAlias struct {
	Model string `yaml:"model"`
	Name  string `yaml:"name"`
}

// MLflowVersion is one version of a registered model.
type MLflowVersion struct {
	Model   string `yaml:"model"`
	Version string `yaml:"version"`
}

// MLflowVersions are all versions of a registered model.
type MLflowVersions struct {
	Model string `yaml:"model"`
}

// MLflowRun is the newest run of that name in an experiment.
type MLflowRun struct {
	Experiment string `yaml:"experiment"`
	Name       string `yaml:"name"`
}

// MLflowRuns are the runs of an experiment. Status is FINISHED unless given.
type MLflowRuns struct {
	Experiment string `yaml:"experiment"`
	Filter     string `yaml:"filter"`
	OrderBy    string `yaml:"orderBy"`
	Status     string `yaml:"status"`
}

// MLflowArtifact is a file of a model version, or of a run.
type MLflowArtifact struct {
	Model      string `yaml:"model"`
	Version    string `yaml:"version"`
	Experiment string `yaml:"experiment"`
	Run        string `yaml:"run"`
	Path       string `yaml:"path"`
}

// ExecProbe runs a command in a pod of the lab. CEL: exitCode, stdout, json
// (null when stdout is none).
type ExecProbe struct {
	Argv []string `yaml:"argv"`
	// Selector finds the pod; the workbench unless given.
	Selector  string        `yaml:"selector"`
	Container string        `yaml:"container"`
	Timeout   time.Duration `yaml:"timeout"`
}

// Step is one step of a solution, a near-miss, an alternative or a fault;
// exactly one field is set.
type Step struct {
	// Apply is a file with manifests, applied server-side to the lab's namespace.
	Apply string `yaml:"apply"`
	// Exec runs a command in a pod of the lab; it must end with exit code 0.
	Exec *ExecProbe `yaml:"exec"`
	// Wait looks until what it expects holds.
	Wait *Wait `yaml:"wait"`
}

// Wait is a probe with what it waits for.
type Wait struct {
	Probe    `yaml:",inline"`
	Expect   string        `yaml:"expect"`
	Deadline time.Duration `yaml:"deadline"`
}
