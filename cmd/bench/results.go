package main

import "slices"

// item is one line of the table.
type item string

// The items, and what is read beside them.
const (
	itemKind    item = "a"
	itemByHand  item = "b"
	itemUp      item = "c"
	itemUpAgain item = "d"
	itemList    item = "e"
	itemDown    item = "f"
	itemFailed  item = "g"
	itemPassed  item = "h"
	itemReset   item = "i"
	itemMemory  item = "memory"
)

// results are the samples of a run, in the order of the rounds.
type results struct {
	samples map[item][]float64
	steps   map[item][]step
	labs    []labFigures
}

// step is a part of an item with its samples.
type step struct {
	name    string
	samples []float64
}

func newResults() *results {
	return &results{samples: map[item][]float64{}, steps: map[item][]step{}}
}

func (r *results) add(i item, value float64) { r.samples[i] = append(r.samples[i], value) }

func (r *results) addStep(i item, name string, seconds float64) {
	list := r.steps[i]
	n := slices.IndexFunc(list, func(s step) bool { return s.name == name })
	if n < 0 {
		list, n = append(list, step{name: name}), len(list)
	}
	list[n].samples = append(list[n].samples, seconds)
	r.steps[i] = list
}

// ratios divides pair by pair: both values of a pair are of the same round.
func (r *results) ratios(over, under item) []float64 {
	a, b := r.samples[over], r.samples[under]
	var list []float64
	for i := range min(len(a), len(b)) {
		list = append(list, a[i]/b[i])
	}
	return list
}

// median is the middle value, or the mean of the two middle ones.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
