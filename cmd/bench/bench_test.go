package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummarise(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values []float64
		goal   float64
		want   line
	}{
		"none":    {nil, 1, line{Name: "x", Median: "-", Min: "-", Max: "-", Samples: "0"}},
		"odd":     {[]float64{3, 1, 2}, 0, line{Name: "x", Median: "2.00", Min: "1.00", Max: "3.00", Samples: "3"}},
		"even":    {[]float64{4, 1, 2, 3}, 0, line{Name: "x", Median: "2.50", Min: "1.00", Max: "4.00", Samples: "4"}},
		"reached": {[]float64{0.5}, 0.5, line{Name: "x", Median: "0.50", Min: "0.50", Max: "0.50", Samples: "1", Goal: "≤ 0.5: reached"}},
		"missed":  {[]float64{0.51}, 0.5, line{Name: "x", Median: "0.51", Min: "0.51", Max: "0.51", Samples: "1", Goal: "≤ 0.5: missed"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, summarise("x", tt.values, 2, tt.goal)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := newResults()
	for _, round := range []struct{ a, b, c float64 }{{10, 40, 18}, {20, 50, 30}} {
		r.add(itemKind, round.a)
		r.add(itemByHand, round.b)
		r.add(itemUp, round.c)
		r.addStep(itemUp, "cluster", round.c/2)
		r.addStep(itemUp, "ready", round.c/4)
	}
	r.labs = []labFigures{{name: "serving", up: 31.25, check: 1.5, reset: 6, memory: 1.234}}
	var out bytes.Buffer
	if err := report(&out, []fact{{"rounds", "2"}}, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| rounds | 2 |",
		"| (a) `kind create cluster --wait` | 15.00 | 10.00 | 20.00 | 2 |  |",
		"| c/b | 0.53 | 0.45 | 0.60 | 2 | ≤ 0.5: missed |",
		"| c/a | 1.65 | 1.50 | 1.80 | 2 | ≤ 2: reached |",
		"| cluster | 12.00 | 9.00 | 15.00 | 2 |",
		"| serving | 31.2 | 1.50 | 6.0 | 1.23 |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %q in:\n%s", want, out.String())
		}
	}
}
