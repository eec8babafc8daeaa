package schedule

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Config bounds a Queue.
type Config struct {
	Executors int           // how many batches may run at the same time; at least 1
	Depth     int           // how many samples of each class may wait; at least 1
	MaxDelay  time.Duration // how long a batch that could be larger may wait to be filled; 0: never
}

// Sample is one sample that waits. K names the session that runs it, V is the caller's own. Times are monotonic. A Sample
// belongs to one Queue from Add until Next returned it or Remove took it out.
type Sample[K comparable, V any] struct {
	Value    V
	Session  K
	Class    inspection.Class
	Deadline time.Time // when its answer must be there; zero: never
	Arrival  time.Time // when it came
	Source   Source    // with Bytes: what it takes to decode it
	Bytes    int       // encoded size; 0: nothing is decoded
	Follow   int       // how many samples of the session are added later without which its answer is worth nothing

	due, since time.Duration // Deadline and Arrival on the queue's clock; due is never where there is no deadline
	rate       *fillRate     // of its source; nil where nothing is decoded
	fill       time.Duration // predicted time to decode it
	queued     bool
}

// budget is the time that a sample had when it came.
func (s *Sample[K, V]) budget() time.Duration {
	if s.due == never {
		return never
	}
	return s.due - s.since
}

// never is the due time of a sample without a deadline.
const never = time.Duration(math.MaxInt64)

const classes = int(inspection.ClassBackground) + 1

// Decision is what an executor that is free should do: run Batch in a batch of Size; or where Batch is empty look again
// after Wait, or, where that is 0, when a sample was added. Dropped samples left the queue because they cannot be in time
// any more: they are to be told at once, whatever else.
type Decision[K comparable, V any] struct {
	Batch   []*Sample[K, V]
	Size    int
	Wait    time.Duration
	Dropped []*Sample[K, V]
}

// Queue holds the samples that wait and decides which run next. It must not be used by two goroutines at the same time.
type Queue[K comparable, V any] struct {
	config Config
	epoch  time.Time
	ends   []time.Duration // by executor: when its batch should end; idle where it has none
	runs   []running       // by executor: the batch that ends then
	curves map[K]*estimate
	fills  fillRates
	shares shares
	lanes  [classes][]*lane[K, V]
	depth  [classes]int
	closed bool
}

// idle is the end of no batch.
const idle = time.Duration(math.MinInt64)

// lane holds the samples of one class and session, the earliest due first, then who came first.
type lane[K comparable, V any] struct {
	session K
	curve   *estimate
	samples []*Sample[K, V]
}

// New returns an empty queue; the error wraps inspection.ErrInvalid. now starts its clock.
func New[K comparable, V any](config Config, now time.Time) (*Queue[K, V], error) {
	switch {
	case config.Executors < 1:
		return nil, fmt.Errorf("%w: %d executors: give at least 1", inspection.ErrInvalid, config.Executors)
	case config.Depth < 1:
		return nil, fmt.Errorf("%w: queue of %d: give at least 1", inspection.ErrInvalid, config.Depth)
	case config.MaxDelay < 0:
		return nil, fmt.Errorf("%w: max delay %v is negative", inspection.ErrInvalid, config.MaxDelay)
	}
	return &Queue[K, V]{
		config: config, epoch: now, curves: map[K]*estimate{}, fills: fillRates{},
		ends: slices.Repeat([]time.Duration{idle}, config.Executors), runs: make([]running, config.Executors),
	}, nil
}

func (q *Queue[K, V]) clock(t time.Time) time.Duration { return t.Sub(q.epoch) }

// SetCurve says how long a session's batches take; measured runs correct it from here on. The error wraps
// inspection.ErrInvalid.
func (q *Queue[K, V]) SetCurve(session K, c Curve, now time.Time) error {
	if err := c.Validate(); err != nil {
		return err
	}
	q.learn(session, newEstimate(c, false, q.clock(now)))
	return nil
}

// Introduced reports whether anything was said of a session.
func (q *Queue[K, V]) Introduced(session K) bool { return q.curves[session] != nil }

// Introduce gives a session of which nothing is known the shape of its curve. Until a run of it was measured the scale is
// unknown, and no sample is refused or dropped for it but one that is past its deadline.
func (q *Queue[K, V]) Introduce(session K, shape Curve) {
	if !q.Introduced(session) {
		q.learn(session, newEstimate(shape, true, 0))
	}
}

func (q *Queue[K, V]) learn(session K, e *estimate) {
	q.curves[session] = e
	for _, lanes := range q.lanes {
		for _, l := range lanes {
			if l.session == session {
				l.curve = e
			}
		}
	}
}

// Curve returns a session's curve as measured runs have corrected it, and false where nothing was measured or given.
func (q *Queue[K, V]) Curve(session K) (Curve, bool) {
	e := q.curves[session]
	if e == nil || e.guess {
		return nil, false
	}
	return slices.Clone(e.now), true
}

// Forget drops what is known of a session that ended. Samples of it that wait are kept.
func (q *Queue[K, V]) Forget(session K) { delete(q.curves, session) }

// Observe notes that a batch of a size ran for took, decoding left out.
func (q *Queue[K, V]) Observe(session K, size int, took time.Duration, now time.Time) {
	if e := q.curves[session]; e != nil {
		e.observe(size, took, q.clock(now))
	}
}

// ObserveAlone notes that one sample ran for took on a device that it had to itself, by all threads: a sample that comes to
// an idle device may be in time though a batch on one executor would be late.
func (q *Queue[K, V]) ObserveAlone(session K, took time.Duration, now time.Time) {
	if e := q.curves[session]; e != nil {
		e.observeAlone(took, q.clock(now))
	}
}

// ObserveFill notes how long it took to decode a sample of so many bytes.
func (q *Queue[K, V]) ObserveFill(source Source, bytes int, took time.Duration, now time.Time) {
	if bytes > 0 {
		t := q.clock(now)
		q.fills.of(source, t).observe(bytes, took, t)
	}
}

// Add queues a sample whose session was introduced. It refuses it with inspection.ErrDeadline where it would be too late
// even if it ran right now, and with inspection.ErrOverloaded where its class is full.
func (q *Queue[K, V]) Add(s *Sample[K, V], now time.Time) error {
	t := q.clock(now)
	e := q.curves[s.Session]
	if e == nil {
		return fmt.Errorf("%w: a sample of a session that was not introduced", inspection.ErrInvalid)
	}
	q.place(s, t)
	class := classOf(s)
	switch {
	case q.hopeless(s, e, t):
		return fmt.Errorf("%w: %v are left, decoding and running take %v", inspection.ErrDeadline, s.due-t, q.needs(s, e, t))
	case q.depth[class] >= q.config.Depth:
		return fmt.Errorf("%w: %d samples of class %s wait already", inspection.ErrOverloaded, q.config.Depth, s.Class)
	}
	if q.depth[class] == 0 {
		q.shares.join(class)
	}
	q.depth[class]++
	s.queued = true
	l := q.lane(class, s.Session, e)
	at, _ := slices.BinarySearchFunc(l.samples, s, func(a, b *Sample[K, V]) int {
		if a.due < b.due || a.due == b.due && a.since <= b.since {
			return -1
		}
		return 1
	})
	l.samples = slices.Insert(l.samples, at, s)
	return nil
}

// place puts a sample's times on the queue's clock.
func (q *Queue[K, V]) place(s *Sample[K, V], t time.Duration) {
	s.due, s.since = never, q.clock(s.Arrival)
	if s.rate, s.fill = nil, 0; s.Bytes > 0 {
		s.rate = q.fills.of(s.Source, t)
		s.fill = s.rate.predict(s.Bytes)
	}
	if !s.Deadline.IsZero() {
		s.due = q.clock(s.Deadline)
	}
}

func classOf[K comparable, V any](s *Sample[K, V]) int { return min(int(s.Class), classes-1) }

func (q *Queue[K, V]) lane(class int, session K, e *estimate) *lane[K, V] {
	for _, l := range q.lanes[class] {
		if l.session == session {
			return l
		}
	}
	l := &lane[K, V]{session: session, curve: e}
	q.lanes[class] = append(q.lanes[class], l)
	return l
}

// needs returns the time from beginning with a sample to its answer, at least, as far as that is known.
func (q *Queue[K, V]) needs(s *Sample[K, V], e *estimate, t time.Duration) (need time.Duration) {
	if s.rate != nil && s.rate.believed(t) {
		need = s.fill
	}
	if e.known(t) {
		need += q.runTime(s, e)
	}
	return need
}

// runTime returns the time that a sample and what follows it run for, at least: at the expected speed, by all threads where nobody
// works, and with what follows on all executors.
func (q *Queue[K, V]) runTime(s *Sample[K, V], e *estimate) time.Duration {
	least := e.now[0].Expected
	if q.idlers() == len(q.ends) {
		least = e.least()
	}
	if s.Follow == 0 {
		return least
	}
	return max(least, time.Duration(float64(s.Follow+1)*e.fastest(q.config.Executors)))
}

// hopeless reports whether a sample would be too late even if it ran alone right now. What would say so and is not believed any
// more is doubted.
func (q *Queue[K, V]) hopeless(s *Sample[K, V], e *estimate, t time.Duration) bool {
	left := s.due - t
	switch {
	case s.due == never:
		return false
	case left <= 0, left < q.needs(s, e, t):
		return true
	case left < s.fill+q.runTime(s, e):
		e.doubted = e.doubted || !e.known(t)
		if s.rate != nil {
			s.rate.doubted = s.rate.doubted || !s.rate.believed(t)
		}
	}
	return false
}

// Latest returns what LastStart would of a sample that is not added: until when it makes sense to add it.
func (q *Queue[K, V]) Latest(s *Sample[K, V], now time.Time) (time.Time, bool) {
	q.place(s, q.clock(now))
	return q.LastStart(s, now)
}

// LastStart returns when a sample that waits will have become hopeless, and false where it never will. It moves as run times are
// measured and as executors begin and end: ask again then. After it Expire says so.
func (q *Queue[K, V]) LastStart(s *Sample[K, V], now time.Time) (time.Time, bool) {
	e := q.curves[s.Session]
	if s.due == never {
		return time.Time{}, false
	}
	if e != nil {
		if need := q.needs(s, e, q.clock(now)); need > 0 {
			return s.Deadline.Add(1 - need), true
		}
	}
	return s.Deadline, true
}

// Expire takes a sample out of the queue if it waits there and can no longer be in time, and reports whether it did.
func (q *Queue[K, V]) Expire(s *Sample[K, V], now time.Time) bool {
	l := q.find(s)
	return l != nil && q.hopeless(s, l.curve, q.clock(now)) && q.Remove(s)
}

// Waits reports whether a sample is in the queue.
func (q *Queue[K, V]) Waits(s *Sample[K, V]) bool { return s.queued }

// Remove takes a sample out of the queue; false means that it is not there.
func (q *Queue[K, V]) Remove(s *Sample[K, V]) bool {
	l := q.find(s)
	if l == nil {
		return false
	}
	i := slices.Index(l.samples, s)
	q.take(classOf(s), l, i, i+1)
	return true
}

func (q *Queue[K, V]) find(s *Sample[K, V]) *lane[K, V] {
	if !s.queued {
		return nil
	}
	for _, l := range q.lanes[classOf(s)] {
		if l.session == s.Session {
			return l
		}
	}
	return nil
}

// take removes the samples from i up to j out of a lane, and the lane with its last one.
func (q *Queue[K, V]) take(class int, l *lane[K, V], i, j int) []*Sample[K, V] {
	out := slices.Clone(l.samples[i:j])
	for _, s := range out {
		s.queued = false
	}
	l.samples = slices.Delete(l.samples, i, j)
	q.depth[class] -= j - i
	if len(l.samples) == 0 {
		q.lanes[class] = slices.DeleteFunc(q.lanes[class], func(o *lane[K, V]) bool { return o == l })
	}
	return out
}

// Len returns how many samples wait.
func (q *Queue[K, V]) Len() int {
	n := 0
	for _, d := range q.depth {
		n += d
	}
	return n
}

// Close ends all waiting for larger batches: what is queued is run as it is.
func (q *Queue[K, V]) Close() { q.closed = true }
