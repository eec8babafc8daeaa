package inference

import "sync"

// threads is the bound on runnable native threads: a worker has one of them while it works, and all of them during a run
// by all. There are as many workers as threads, so one only waits while another has all.
type threads struct {
	total int

	mu    sync.Mutex
	freed *sync.Cond
	taken int
}

func newThreads(total int) *threads {
	t := &threads{total: total}
	t.freed = sync.NewCond(&t.mu)
	return t
}

// take takes one, waiting for it, and reports whether nobody else had any.
func (t *threads) take() (alone bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.taken >= t.total {
		t.freed.Wait()
	}
	t.taken++
	return t.taken == 1
}

// give gives back the one.
func (t *threads) give() {
	t.mu.Lock()
	t.taken--
	t.mu.Unlock()
	t.freed.Signal()
}

// takeRest takes all besides the one that the caller has. It never waits: false where somebody else works.
func (t *threads) takeRest() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken != 1 {
		return false
	}
	t.taken = t.total
	return true
}

// giveRest gives back what takeRest took.
func (t *threads) giveRest() {
	t.mu.Lock()
	t.taken = 1
	t.mu.Unlock()
	t.freed.Broadcast()
}
