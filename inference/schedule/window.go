package schedule

import (
	"slices"
	"time"
)

// window is a batch that could run: so many samples of a lane, in a batch of a size.
type window struct {
	from, count, size int
	takes             time.Duration // decoding and running, as expected
	rate              float64       // samples per nanosecond
}

// horizon is how many samples a plan looks ahead.
const horizon = 256

// care is how sure a plan wants to be that the first of each batch is in time.
type care int

const (
	gently  care = iota // likely to be done within the calm share of what is left to it
	likely              // likely to be done when it is due: nine times of ten
	hopeful             // done when it is due, if it takes no longer than most do
)

// calm is the share of the time left by which all that wait must be done for a batch to be chosen for the sake of its
// members. Beyond that speed counts: found by simulation, where 1 begins too late and loses 3 % at full load.
const calm = 0.5

// choose returns the batch that a lane, which is not empty, gives to an executor that is free at t.
func (q *Queue[K, V]) choose(l *lane[K, V], t time.Duration) window {
	n := len(l.samples)
	mine := (n + q.idlers() - 1) / q.idlers() // so that one does not take all while others idle
	for _, c := range []care{gently, likely, hopeful} {
		if w, ok := q.plan(l, c, mine, t); ok {
			return w
		}
	}
	if w, ok := fastest(l, t); ok {
		return w
	}
	// Run times vary so much that nobody is even likely to be in time. Who has most time left has the best chance. The
	// earliest due has the worst: on a machine that is overloaded four of five ended late that way, and their runs were lost.
	return l.window(n-1, 1, 0)
}

// window returns the batch of count samples from a place on, in the size at a place of the curve.
func (l *lane[K, V]) window(from, count, size int) window {
	p := l.curve.now[size]
	w := window{from: from, count: count, size: p.Size, takes: p.Expected}
	for _, s := range l.samples[from : from+count] {
		w.takes += s.fill
	}
	w.rate = float64(count) / float64(w.takes)
	return w
}

// safe reports whether a window's first, who is due first, can bear it when it begins at a time. Asking for 99 of 100 is too
// much: who has little time from the start is then never safe beside others that have more, and is passed over until it is
// hopeless.
func (l *lane[K, V]) safe(w window, size int, t, begin time.Duration, c care) bool {
	due := l.samples[w.from].due
	if due == never {
		return true
	}
	ends := begin + w.takes
	if c != hopeful {
		ends += time.Duration(float64(l.curve.now[size].Expected) * (l.curve.likely - 1))
	}
	if c == gently {
		due = t + time.Duration(calm*float64(due-t))
	}
	return ends <= due
}

// fastest returns the batch that gives the most samples a second, wherever in the lane it begins; false where no sample is
// safe in any.
func fastest[K comparable, V any](l *lane[K, V], t time.Duration) (best window, ok bool) {
	n := min(len(l.samples), horizon)
	for _, i := range l.curve.useful {
		w, found := l.hurried(i, n, t)
		if found && (!ok || w.rate > best.rate) {
			best, ok = w, true
		}
	}
	return best, ok
}

// hurried returns the first safe batch, among the first n, in the size at a place of the curve. A batch as large goes before
// it whose first had at most half the time of that one's from the start: one of the two is most likely lost, and who had
// long has had its chances. Without this those in a hurry are lost first on a machine that is overloaded.
func (l *lane[K, V]) hurried(size, n int, t time.Duration) (best window, ok bool) {
	for from := range n {
		if ok && l.samples[from].budget() > l.samples[best.from].budget()/2 {
			continue
		}
		w := l.window(from, min(l.curve.now[size].Size, n-from), size)
		if ok && w.count < best.count {
			break
		}
		if l.safe(w, size, t, t, likely) {
			best, ok = w, true
		}
	}
	return best, ok
}

// plan tries whether all that wait can be in time when they run in order on all executors, the fastest batches first that
// are safe with that care (gently: see step), none passed over; it returns the first batch of that. first bounds its samples.
func (q *Queue[K, V]) plan(l *lane[K, V], c care, first int, t time.Duration) (start window, ok bool) {
	ends := make([]time.Duration, len(q.ends))
	for i, end := range q.ends {
		ends[i] = max(end, t)
	}
	n := min(len(l.samples), horizon)
	for from := 0; from < n; {
		if from > 0 && l.samples[from].due == never {
			return start, true
		}
		at := 0
		for i, end := range ends {
			if end < ends[at] {
				at = i
			}
		}
		begin, limit := ends[at], n-from
		if from == 0 {
			begin, limit = t, min(first, n)
		}
		w, ok := l.step(c, (n-from+len(ends)-1)/len(ends), from, limit, t, begin)
		if !ok {
			return start, false
		}
		if from == 0 {
			start = w
			at = slices.IndexFunc(q.ends, func(end time.Duration) bool { return end == idle })
		}
		ends[at] = begin + w.takes
		from += w.count
	}
	return start, true
}

// step returns the fastest batch of at most limit samples from a place on that is safe with that care when it begins at a
// time; gently it is in a size that quickens the samples, so many of which are this executor's.
func (l *lane[K, V]) step(c care, mine, from, limit int, t, begin time.Duration) (best window, ok bool) {
	for _, i := range l.curve.useful {
		if c == gently && !l.curve.quickens(i, mine) {
			continue
		}
		w := l.window(from, min(l.curve.now[i].Size, limit), i)
		if l.safe(w, i, t, begin, c) && (!ok || w.rate > best.rate) {
			best, ok = w, true
		}
	}
	return best, ok
}
