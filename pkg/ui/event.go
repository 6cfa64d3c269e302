// Package ui is the seam between work and what a person sees of it: work emits
// events and returns data, renderers decide how both look (terminal, plain
// lines, JSON). It is not for logs of developers; those go through log/slog.
package ui

import "time"

// Kind says what an Event reports.
type Kind int

// The kinds of events.
const (
	// StepStart begins a step; Title names it for people.
	StepStart Kind = iota
	// StepUpdate tells what a running step is doing (Text).
	StepUpdate
	// StepDone ends a step; Text may say what came of it.
	StepDone
	// StepSkip ends a step that had nothing to do.
	StepSkip
	// StepFail ends a step with an error (Text).
	StepFail
	// Row reports one item of a step: a workload, an image.
	Row
	// Note is a sentence for the user that belongs to no step.
	Note
	// Warn is a Note about trouble that does not stop the work.
	Warn
)

// RowState is where one item of a step stands.
type RowState int

// The states of a row.
const (
	Waiting RowState = iota // nothing happens yet; Text says what it waits for
	Working                 // something happens; Text, Done and Total say how far
	Ready                   // done
	Failed                  // will not become ready; Text is the reason
)

// Event is one thing that happened. Step is a stable id such as "cluster";
// Item names a row of that step such as "statefulset/postgres". Done and Total
// count units of Unit; Total 0 means unknown.
type Event struct {
	Kind  Kind
	Step  string
	Title string
	Item  string
	State RowState
	Text  string
	Done  int64
	Total int64
	Unit  Unit
	// Detail is a figure that changes many times a second, such as a rate. Only a
	// terminal shows it.
	Detail string
	// Elapsed is how long the step took; set on StepDone, StepSkip, StepFail.
	Elapsed time.Duration
}

// Unit says what Done and Total of an Event count.
type Unit int

// The units.
const (
	Count Unit = iota
	Bytes
)

// Sink takes events. Implementations are safe for concurrent use.
type Sink interface {
	Emit(e Event)
}

// SinkFunc makes a Sink of a function.
type SinkFunc func(Event)

// Emit calls the function.
func (f SinkFunc) Emit(e Event) { f(e) }

// Discard drops every event.
func Discard() Sink { return SinkFunc(func(Event) {}) }
