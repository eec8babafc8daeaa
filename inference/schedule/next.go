package schedule

import (
	"slices"
	"time"
)

// Next says what an executor that is free should do now. A batch that it returns counts as running there until
// Next is called for it again.
//
// Of a session's samples those run together that follow each other in order of their deadlines, as many as one of the
// warmed sizes holds. While all that wait can be in time, the earliest due go first, in small batches where large ones
// would only delay their members. When not all can be in time any more, that batch goes first that gives the most samples
// a second and whose first can still bear it: what is due sooner is passed over, and stays, for the next executor may yet
// have use for it. Of batches as fast the one goes that is due first, unless another's first had at most half its time from the
// start. Sizing the batch by the earliest due instead makes batches smaller the later they are, and that makes
// all later: at nine tenths of its capacity a device then serves three of ten in time.
func (q *Queue[K, V]) Next(executor int, now time.Time) Decision[K, V] {
	t := q.clock(now)
	q.settle(executor, t)
	var d Decision[K, V]
	var waiting []int
	longest := time.Duration(0)
	for class := range q.lanes {
		d.Dropped = append(d.Dropped, q.drop(class, t)...)
		if q.depth[class] > 0 {
			waiting = append(waiting, class)
		}
		for _, l := range q.lanes[class] {
			longest = max(longest, l.curve.now[0].Expected)
		}
	}
	for len(waiting) > 0 {
		class := q.shares.next(waiting, longest)
		l := q.first(class)
		w := q.choose(l, t)
		if wait := q.delay(l, w, t); wait > 0 {
			if d.Wait == 0 || wait < d.Wait {
				d.Wait = wait
			}
			waiting = slices.DeleteFunc(waiting, func(c int) bool { return c == class })
			continue // what another class has need not wait with it
		}
		q.shares.serve(class, w.takes)
		q.ends[executor], q.runs[executor] = t+w.takes, running{class, t, w.takes}
		l.curve.begin(w.takes, t)
		d.Batch = q.take(class, l, w.from, w.from+w.count)
		d.Size, d.Wait = w.size, 0
		return d
	}
	return d
}

// running is what an executor was given to do, and until when that should take.
type running struct {
	class int
	since time.Duration
	takes time.Duration
}

// settle ends an executor's batch. What it took beyond what was expected is put down to its class.
func (q *Queue[K, V]) settle(executor int, t time.Duration) {
	if q.ends[executor] == idle {
		return
	}
	q.ends[executor] = idle
	r := q.runs[executor]
	q.shares.correct(r.class, t-r.since-r.takes)
}

// drop takes the samples that have become hopeless from the heads of a class's lanes.
func (q *Queue[K, V]) drop(class int, t time.Duration) []*Sample[K, V] {
	var out []*Sample[K, V]
	for i := len(q.lanes[class]) - 1; i >= 0; i-- {
		l, n := q.lanes[class][i], 0
		for n < len(l.samples) && q.hopeless(l.samples[n], l.curve, t) {
			n++
		}
		if n > 0 {
			out = append(out, q.take(class, l, 0, n)...)
		}
	}
	return out
}

// first returns the lane of a class whose first sample is due first.
func (q *Queue[K, V]) first(class int) *lane[K, V] {
	return slices.MinFunc(q.lanes[class], func(a, b *lane[K, V]) int {
		x, y := a.samples[0], b.samples[0]
		if x.due < y.due || x.due == y.due && x.since <= y.since {
			return -1
		}
		return 1
	})
}

// delay returns how long a batch should still wait to be filled: only where a larger one is worth it, not when all its
// places are taken, never beyond what its first can bear.
func (q *Queue[K, V]) delay(l *lane[K, V], w window, t time.Duration) time.Duration {
	largest := l.curve.useful[len(l.curve.useful)-1]
	if q.config.MaxDelay == 0 || q.closed || !l.curve.quickens(largest, l.curve.now[largest].Size) || w.from > 0 || len(l.samples) >= l.curve.now[largest].Size {
		return 0
	}
	first := l.samples[0]
	wait := q.config.MaxDelay - (t - first.since)
	if first.due != never {
		wait = min(wait, first.due-t-first.fill-l.curve.now[largest].P99-q.config.MaxDelay)
	}
	return max(wait, 0)
}

// idlers returns how many executors have nothing to do, the one that asks included.
func (q *Queue[K, V]) idlers() int {
	n := 0
	for _, end := range q.ends {
		if end == idle {
			n++
		}
	}
	return n
}
