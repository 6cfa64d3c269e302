// Package receipt makes signed records of what a learner did in a lab, and
// verifies them. Each one carries the hash of the one before.
//
// A receipt is evidence of a run, not proof against somebody who wants to
// cheat: the key lies on the learner's machine. It names neither the machine
// nor its user, and holds no credentials.
package receipt

import (
	"time"
)

// Schema counts up when the meaning of a Document changes.
const Schema = 1

// Document is what is signed.
type Document struct {
	Schema int `json:"schema"`
	// Number counts the receipts of this installation of labctl from 1, and
	// Previous is the hash of the one before; empty for the first.
	Number   int       `json:"number"`
	Previous string    `json:"previous,omitempty"`
	Issued   time.Time `json:"issued"`
	// Name is the learner's, only where it was given.
	Name    string  `json:"name,omitempty"`
	Profile string  `json:"profile"`
	Labctl  Program `json:"labctl"`
	Lab     Lab     `json:"lab"`
	Cluster Cluster `json:"cluster"`

	Started       time.Time `json:"started"`
	Ended         time.Time `json:"ended"`
	ActiveSeconds float64   `json:"activeSeconds"`

	Score  Score   `json:"score"`
	Tasks  []Task  `json:"tasks"`
	Faults []Drill `json:"faults,omitempty"`
	// Artefacts are the objects that the learner wrote, by their hash.
	Artefacts []Artefact `json:"artefacts,omitempty"`
}

// Program is the labctl that issued a receipt.
type Program struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Platform string `json:"platform"`
}

// Lab is what was practised on.
type Lab struct {
	Name         string  `json:"name"`
	Title        string  `json:"title"`
	Digest       string  `json:"digest"` // over all files of the lab
	Seed         int     `json:"seed,omitempty"`
	Installation string  `json:"installation"`
	Images       []Image `json:"images,omitempty"`
}

// Image is an image that runs in the lab.
type Image struct {
	Name   string `json:"name"`
	Digest string `json:"digest,omitempty"`
}

// Cluster is what the lab ran on. What may not be read is left out.
type Cluster struct {
	Kind       string `json:"kind"` // local or existing
	Kubernetes string `json:"kubernetes,omitempty"`
	NodeImage  string `json:"nodeImage,omitempty"`
	Nodes      int    `json:"nodes,omitempty"`
	CPU        string `json:"cpu,omitempty"`
	Memory     string `json:"memory,omitempty"`
}

// Score is that of the whole lab.
type Score struct {
	Earned      int  `json:"earned"`
	Max         int  `json:"max"`
	Passed      bool `json:"passed"`
	Distinction bool `json:"distinction"`
	Bonus       int  `json:"bonus"`
	BonusMax    int  `json:"bonusMax"`
}

// Task is one task. Earned is the best it came to, Now what stands.
type Task struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	State     string    `json:"state"`
	Earned    int       `json:"earned"`
	Now       int       `json:"now"`
	Max       int       `json:"max"`
	Passed    time.Time `json:"passed,omitzero"`
	Solved    time.Time `json:"solved,omitzero"`
	Regressed bool      `json:"regressed,omitempty"`
	Hints     []Hint    `json:"hints,omitempty"`
	Checks    []Check   `json:"checks"`
}

// Hint is a hint that was opened.
type Hint struct {
	Level int       `json:"level"`
	At    time.Time `json:"at"`
	Price int       `json:"price"`
}

// Check is one check as it was last seen.
type Check struct {
	ID          string    `json:"id"`
	Kind        string    `json:"kind"`
	Status      string    `json:"status"`
	Points      int       `json:"points"`
	Max         int       `json:"max"`
	Active      bool      `json:"active,omitempty"`
	Latched     bool      `json:"latched,omitempty"`
	Message     string    `json:"message,omitempty"`
	Found       string    `json:"found,omitempty"`
	Expected    string    `json:"expected,omitempty"`
	Attempts    int       `json:"attempts"`
	Seconds     float64   `json:"seconds"`
	ObservedAt  time.Time `json:"observedAt,omitzero"`
	FirstPassed time.Time `json:"firstPassed,omitzero"`
}

// Drill is one fault that was put in.
type Drill struct {
	ID       string    `json:"id"`
	Injected time.Time `json:"injected"`
	Detected time.Time `json:"detected,omitzero"`
	Fixed    time.Time `json:"fixed,omitzero"`
	Undone   time.Time `json:"undone,omitzero"`
	Note     bool      `json:"note,omitempty"`
	Hints    []Hint    `json:"hints,omitempty"`
}

// Artefact is an object that the learner wrote.
type Artefact struct {
	Object string `json:"object"` // "ConfigMap/promotion-policy"
	SHA256 string `json:"sha256"`
}

// Redact takes secrets out of everything in the document that a lab said, and
// cuts what is long.
func (d *Document) Redact(secrets []string) {
	r := newRedactor(secrets)
	for i := range d.Tasks {
		for j := range d.Tasks[i].Checks {
			c := &d.Tasks[i].Checks[j]
			c.Message, c.Found, c.Expected = r.clean(c.Message), r.clean(c.Found), r.clean(c.Expected)
		}
	}
}
