package engine

import "sync"

// timings collects the times of steps that may end side by side.
type timings struct {
	mu   sync.Mutex
	list []Timing
}

func (t *timings) add(x Timing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, x)
}

func (t *timings) all() []Timing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Timing{}, t.list...)
}
