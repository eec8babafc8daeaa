package custody

import (
	"slices"
	"sync"
	"time"
)

// reserve estimates how long a write takes from its submission until it is on disk, from the last writes. Until enough
// were measured it says what the configuration said.
type reserve struct {
	mu      sync.Mutex
	samples [512]time.Duration
	sorted  [512]time.Duration // scratch
	n       int                // samples ever taken
	often   time.Duration      // seven of ten writes take no longer
	nearly  time.Duration      // 99 of 100
}

const (
	refresh = 32 // so many new samples make a new estimate
	early   = 8  // the first one: until then frames are held to what the configuration said
)

func newReserve(initial time.Duration) *reserve { return &reserve{often: initial, nearly: initial} }

func (r *reserve) add(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples[r.n%len(r.samples)] = d
	r.n++
	if r.n != early && r.n%refresh != 0 {
		return
	}
	s := r.sorted[:copy(r.sorted[:], r.samples[:min(r.n, len(r.samples))])]
	slices.Sort(s)
	r.often, r.nearly = s[(len(s)*70-1)/100], s[(len(s)*99-1)/100]
}

// p70 is for work that is worth trying: three answers in ten would come too late if all came as late as it allows, and few do.
func (r *reserve) p70() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.often
}

// p99 is for what is put off of one's own accord, and must not be late for it.
func (r *reserve) p99() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nearly
}
