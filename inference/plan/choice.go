package plan

import "slices"

// What a gain must be to be taken.
const (
	minGain     = 0.03 // of throughput, by a larger batch or another graph
	minIdleGain = 0.10 // of latency, by all threads on one run
)

// Choice is how a model is to be run.
type Choice struct {
	// Throughput is for when work waits: each native thread has a run of its own.
	Throughput Point `json:"throughput"`
	// Idle is for a sample that comes alone: all threads on its one run. nil where that is not faster by a tenth. Its
	// graph is Throughput's, so that no verdict depends on the load.
	Idle *Point `json:"idle,omitempty"`
}

// Choose returns how to run a model of which so much was measured; false where too little was: not one point with every
// thread at work.
func Choose(s Surface, space Space) (Choice, bool) {
	var c Choice
	for _, v := range space.Variants {
		best, ok := s.fastest(v, space.Cores)
		if ok && (c.Throughput.Runs == 0 || gains(best, c.Throughput)) {
			c.Throughput = best
		}
	}
	if c.Throughput.Runs == 0 {
		return Choice{}, false
	}
	one := Setting{Variant: c.Throughput.Variant, Threads: 1, Callers: 1, Batch: slices.Min(space.Batches)}
	all := one
	all.Threads = space.Cores
	narrow, narrowOK := s.find(one)
	wide, wideOK := s.find(all)
	if space.Cores > 1 && narrowOK && wideOK && float64(wide.Median) <= (1-minIdleGain)*float64(narrow.Median) {
		c.Idle = &wide
	}
	return c, true
}

// fastest returns a variant's best batch with one thread a run and all threads at work. A larger batch makes every member
// wait for all, so it must earn that.
func (s Surface) fastest(variant string, cores int) (best Point, ok bool) {
	for _, p := range s {
		if p.Variant != variant || p.Threads != 1 || p.Callers != cores {
			continue
		}
		if !ok || p.Batch > best.Batch && gains(p, best) || p.Batch < best.Batch && !gains(best, p) {
			best, ok = p, true
		}
	}
	return best, ok
}

// gains reports whether a is faster than b by enough to matter.
func gains(a, b Point) bool { return a.Rate() >= (1+minGain)*b.Rate() }
