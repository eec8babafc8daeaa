package scheduletest

import (
	"slices"
	"time"
)

// A Policy chooses from the arrivals that wait those that a free executor runs now, and the size of their batch. keep are
// those that go on waiting, later arrivals are put behind them; the others are given up.
type Policy func(d Device, maxBatch int, queue []Arrival, now time.Duration) (run, keep []Arrival, size int)

// waiting is how many arrivals may wait in a simulation; the next is refused.
const waiting = 1024

// Simulate serves a trace by a policy, batches up to maxBatch. What a policy gives up is not in time, and neither is what
// finishes after it is due.
func Simulate(d Device, p Policy, maxBatch int, trace []Arrival) Result {
	var res Result
	for _, a := range trace {
		res.Add(a, false)
	}
	ends := make([]time.Duration, d.Executors)
	var queue []Arrival
	next, now := 0, time.Duration(0)
	for next < len(trace) || len(queue) > 0 {
		at := 0
		for i := range ends {
			if ends[i] < ends[at] {
				at = i
			}
		}
		now = max(now, ends[at])
		if len(queue) == 0 {
			now = max(now, trace[next].At)
		}
		for ; next < len(trace) && trace[next].At <= now; next++ {
			if len(queue) < waiting {
				queue = append(queue, trace[next])
			}
		}
		run, keep, size := p(d, maxBatch, queue, now)
		if len(run) > 0 {
			ends[at] = now + d.Takes(size)
			for _, a := range run {
				res.settle(a, ends[at] <= a.Due())
			}
		}
		queue = slices.Clone(keep)
	}
	return res
}

// Best is the best of a policy over all batch limits: tuned as nobody tunes it.
func Best(d Device, p Policy, trace []Arrival) (Result, int) {
	var best Result
	at := 0
	for _, size := range d.Sizes {
		if r := Simulate(d, p, size, trace); at == 0 || r.Good > best.Good {
			best, at = r, size
		}
	}
	return best, at
}

// cut returns how many of n to run, in which size: the faster of a full batch and of one with empty places.
func (d Device) cut(n, maxBatch int) (count, size int) {
	rate := 0.0
	for _, s := range d.Sizes {
		if s > maxBatch && s > d.Sizes[0] {
			break
		}
		if r := float64(min(n, s)) / d.Takes(s).Seconds(); r > rate {
			count, size, rate = min(n, s), s, r
		}
	}
	return count, size
}

// alive returns those that are not late yet when something that takes so long begins now.
func alive(queue []Arrival, now, takes time.Duration) (live []Arrival) {
	for _, a := range queue {
		if now+takes <= a.Due() {
			live = append(live, a)
		}
	}
	return live
}

// FIFO runs who came first, late or not.
func FIFO(d Device, maxBatch int, queue []Arrival, _ time.Duration) (run, keep []Arrival, size int) {
	n, size := d.cut(len(queue), maxBatch)
	return queue[:n], queue[n:], size
}

// FIFOReject is FIFO without those whose deadline has passed.
func FIFOReject(d Device, maxBatch int, queue []Arrival, now time.Duration) (run, keep []Arrival, size int) {
	return FIFO(d, maxBatch, alive(queue, now, 1), now)
}

// Timeout is FIFO that gives up whom it could not finish any more in a batch of its largest size: a queue timeout tuned
// to the deadline.
func Timeout(d Device, maxBatch int, queue []Arrival, now time.Duration) (run, keep []Arrival, size int) {
	return FIFO(d, maxBatch, alive(queue, now, d.Takes(maxBatch)), now)
}

// Priorities runs the tight ones first, in the order in which they came, without those whose deadline has passed.
func Priorities(d Device, maxBatch int, queue []Arrival, now time.Duration) (run, keep []Arrival, size int) {
	live := alive(queue, now, 1)
	slices.SortStableFunc(live, func(a, b Arrival) int {
		switch {
		case a.Tight == b.Tight:
			return 0
		case a.Tight:
			return -1
		}
		return 1
	})
	return FIFO(d, maxBatch, live, now)
}

func byDue(queue []Arrival) {
	slices.SortStableFunc(queue, func(a, b Arrival) int { return int(a.Due() - b.Due()) })
}

// EDF runs who is due first, in the largest batch that the first can bear: the trap.
func EDF(d Device, maxBatch int, queue []Arrival, now time.Duration) (run, keep []Arrival, size int) {
	live := alive(queue, now, d.Takes(d.Sizes[0]))
	if len(live) == 0 {
		return nil, nil, 0
	}
	byDue(live)
	rate := 0.0
	n := 0
	for _, s := range d.Sizes {
		if s > maxBatch && s > d.Sizes[0] || now+d.Takes(s) > live[0].Due() {
			break
		}
		if r := float64(min(len(live), s)) / d.Takes(s).Seconds(); r > rate {
			n, size, rate = min(len(live), s), s, r
		}
	}
	return live[:n], live[n:], size
}

// EarlyDrop runs who is due first, dropping from the front as many as must go for the fastest batch.
func EarlyDrop(d Device, maxBatch int, queue []Arrival, now time.Duration) (run, keep []Arrival, size int) {
	live := alive(queue, now, d.Takes(d.Sizes[0]))
	byDue(live)
	rate, from, n := 0.0, 0, 0
	for _, s := range d.Sizes {
		if s > maxBatch && s > d.Sizes[0] {
			break
		}
		for i, a := range live {
			if now+d.Takes(s) > a.Due() {
				continue
			}
			if r := float64(min(len(live)-i, s)) / d.Takes(s).Seconds(); r > rate {
				rate, from, n, size = r, i, min(len(live)-i, s), s
			}
			break
		}
	}
	return live[from : from+n], live[from+n:], size
}
