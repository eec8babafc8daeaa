package custody

import (
	"slices"
	"sync"
	"time"
)

// reserve estimates how long a write takes from its submission until it is on disk, as the 99th percentile of the last
// writes. Until enough were measured it says what the configuration said.
type reserve struct {
	mu       sync.Mutex
	samples  [512]time.Duration
	sorted   [512]time.Duration // scratch
	n        int                // samples ever taken
	estimate time.Duration
}

// refresh is how many new samples make a new estimate; the first one needs as many.
const refresh = 32

func newReserve(initial time.Duration) *reserve { return &reserve{estimate: initial} }

func (r *reserve) add(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples[r.n%len(r.samples)] = d
	r.n++
	if r.n%refresh != 0 {
		return
	}
	s := r.sorted[:copy(r.sorted[:], r.samples[:min(r.n, len(r.samples))])]
	slices.Sort(s)
	r.estimate = s[(len(s)*99-1)/100]
}

func (r *reserve) p99() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.estimate
}
