// Package lab holds the definition of a lab as an author writes it in
// lab.yaml: types, strict decoding, defaults and validation. It reads no files
// and knows no cluster; pkg/catalog finds labs, pkg/engine runs them.
package lab

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// APIVersion and Kind are what a lab.yaml must begin with.
const (
	APIVersion = "labctl.dev/v1alpha1"
	Kind       = "Lab"
)

// FileName is the name of the file that makes a directory a lab.
const FileName = "lab.yaml"

// Lab is the content of a lab.yaml.
type Lab struct {
	APIVersion string     `yaml:"apiVersion"`
	Kind       string     `yaml:"kind"`
	Metadata   Metadata   `yaml:"metadata"`
	Layer      Layer      `yaml:"layer"`
	Analogies  []Analogy  `yaml:"analogies"`
	Components []string   `yaml:"components"`
	Requires   Requires   `yaml:"requires"`
	Seed       *Seed      `yaml:"seed"`
	Endpoints  []Endpoint `yaml:"endpoints"`
	// Next says what a learner does first in a lab that has just come up.
	Next  string `yaml:"next"`
	Tasks []Task `yaml:"tasks"`
	// Faults are drills on the solved lab.
	Faults    []Fault    `yaml:"faults"`
	Interview []Question `yaml:"interview"`
}

// Metadata says what the lab is, in lists and on cards.
type Metadata struct {
	// Name is that of the lab's directory, of its Helm release, and with the
	// prefix "lab-" that of its namespace.
	Name  string `yaml:"name"`
	Title string `yaml:"title"`
	// Promise is one sentence: what a learner can do afterwards.
	Promise string `yaml:"promise"`
	// Level runs from 1 (first steps) to 4 (expert).
	Level   int `yaml:"level"`
	Minutes int `yaml:"minutes"`
}

// Layer places the lab among the layers of MLOps.
type Layer struct {
	MLOps []string `yaml:"mlops"`
	// Topics are rows of the roadmap.
	Topics []string `yaml:"topics"`
}

// Analogy leads from something a DevOps engineer knows to its MLOps counterpart.
type Analogy struct {
	Know string `yaml:"know"`
	New  string `yaml:"new"`
}

// Requires is what a lab needs from the machine and the cluster.
type Requires struct {
	// MemoryMi is the memory of the node with the lab up, in MiB.
	MemoryMi int `yaml:"memoryMi"`
	CPU      int `yaml:"cpu"`
	// Cluster lists parts that the owner of the cluster must put in place.
	Cluster []string `yaml:"cluster"`
	// ClusterOptional lists parts that the lab uses where they exist.
	ClusterOptional []string `yaml:"clusterOptional"`
}

// Seed makes a lab the same on every machine.
type Seed struct {
	Value int `yaml:"value"`
	// Clock is the day at which the lab's virtual clock starts, as 2013-04-01.
	Clock string `yaml:"clock"`
}

// Endpoint is something that a learner opens.
type Endpoint struct {
	Name    string `yaml:"name"`
	Title   string `yaml:"title"`
	Service string `yaml:"service"`
	Port    int    `yaml:"port"`
	Path    string `yaml:"path"`
}

// Endpoint gives the endpoint of that name.
func (l *Lab) Endpoint(name string) (Endpoint, bool) {
	i := slices.IndexFunc(l.Endpoints, func(e Endpoint) bool { return e.Name == name })
	if i < 0 {
		return Endpoint{}, false
	}
	return l.Endpoints[i], true
}

// setDefaults fills in what an author may leave out.
func (l *Lab) setDefaults() {
	for i := range l.Endpoints {
		e := &l.Endpoints[i]
		if e.Path == "" {
			e.Path = "/"
		}
		if e.Title == "" {
			e.Title = e.Name
		}
	}
	for i := range l.Tasks {
		l.Tasks[i].setDefaults()
	}
	for i := range l.Faults {
		f := &l.Faults[i]
		if f.Title == "" {
			f.Title = f.ID
		}
		stepDefaults(f.Inject)
		stepDefaults(f.Fix)
	}
}

// Defaults of checks and steps.
const (
	DefaultDeadline = 60 * time.Second
	DefaultInterval = 2 * time.Second
	DefaultTimeout  = 60 * time.Second
	// DefaultSelector finds the pod with the lab's tools.
	DefaultSelector = "app=workbench"
)

func (t *Task) setDefaults() {
	for i := range t.Checks {
		c := &t.Checks[i]
		c.Deadline = cmp.Or(c.Deadline, DefaultDeadline)
		c.Interval = cmp.Or(c.Interval, DefaultInterval)
		c.Why = cmp.Or(c.Why, t.Why)
		c.setDefaults()
		for _, p := range c.With {
			p.setDefaults()
		}
	}
	stepDefaults(t.Solution)
	for i := range t.NearMisses {
		n := &t.NearMisses[i]
		n.Base = cmp.Or(n.Base, BaseBefore)
		n.Title = cmp.Or(n.Title, n.ID)
		stepDefaults(n.Steps)
		stepDefaults(n.Undo)
	}
	for i := range t.Alternatives {
		a := &t.Alternatives[i]
		a.Title = cmp.Or(a.Title, a.ID)
		stepDefaults(a.Steps)
		stepDefaults(a.Undo)
	}
}

func stepDefaults(steps []Step) {
	for _, s := range steps {
		if s.Exec != nil {
			s.Exec.setDefaults()
		}
		if s.Wait != nil {
			s.Wait.setDefaults()
			s.Wait.Deadline = cmp.Or(s.Wait.Deadline, DefaultDeadline)
		}
	}
}

// setDefaults works on a copy of p too: it changes what the fields point to.
func (p Probe) setDefaults() {
	if p.Exec != nil {
		p.Exec.setDefaults()
	}
	if p.HTTP != nil {
		p.HTTP.Method = cmp.Or(p.HTTP.Method, http.MethodGet)
		p.HTTP.Path = cmp.Or(p.HTTP.Path, "/")
	}
	if p.MLflow != nil && p.MLflow.Runs != nil {
		p.MLflow.Runs.Status = cmp.Or(p.MLflow.Runs.Status, "FINISHED")
	}
}

func (p *ExecProbe) setDefaults() {
	p.Selector = cmp.Or(p.Selector, DefaultSelector)
	p.Timeout = cmp.Or(p.Timeout, DefaultTimeout)
}
