package inference

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/schedule"
	"github.com/assay-vision/assay/inspection"
)

// BatcherConfig bounds a Batcher.
type BatcherConfig struct {
	// Workers is the number of native threads that decode or infer at the same time; at least 1. A worker brings a sample
	// all the way, so this is the one bound on runnable native threads.
	Workers int
	// Queue is how many samples of each class may wait; at least 1.
	Queue int
	// MaxDelay is how long a batch that could be larger waits to be filled. 0: never, a batch is what is queued.
	MaxDelay time.Duration
	// Yield gives each worker a thread of its own that yields to the rest of the process, see yield.
	Yield bool
}

// Task is one sample's way through a worker. The batcher calls Fill, then Read, each at most once and never at the same
// time, and Release exactly once, after which it does not touch the task any more.
type Task interface {
	// Fill writes the sample into slots, its place in each of the batch's inputs. worker numbers the calling worker from 0.
	Fill(worker int, slots [][]byte) error
	// Read takes the sample's answer out of the outputs, where it is the sample numbered at. The run took from start to end.
	Read(outs []decode.Output, at int, start, end time.Time) error
	// Release gives back what the task holds.
	Release()
}

// Order says which samples go first, and which go no more.
type Order struct {
	Class    inspection.Class
	Deadline time.Time // when the answer must be there; zero means never
	// Source and Bytes tell what Fill has to decode, so that its time can be predicted; 0 bytes: it takes none.
	Source schedule.Source
	Bytes  int
	// Follow is how many samples of the session will be added later without which this one's answer is worth nothing.
	Follow int
}

// Batcher queues samples, forms batches of those that share a session, and gives every caller its own answer. What runs
// next is schedule.Queue's to say. A sample whose context ended, or that can no longer be in time, is not begun; one that
// has begun is finished.
type Batcher struct {
	config  BatcherConfig
	log     *slog.Logger
	metrics *metrics
	wake    chan struct{} // a token for each worker at most: look at the queue
	quit    chan struct{}
	workers sync.WaitGroup
	threads *threads
	timers  sync.Pool // of timers that are stopped

	mu     sync.Mutex
	queue  *schedule.Queue[Session, *item]
	closed bool
}

// item is a task in the queue or in a worker's hands.
type item struct {
	ctx     context.Context
	session Session
	task    Task
	order   Order
	since   time.Time
	waits   schedule.Sample[Session, *item]
	filling time.Duration // how long Fill took; the worker's
	reply   chan error    // has room for its one answer
	done    bool          // answered and released; the worker's
}

// newBatcher starts the workers; Close stops them.
func newBatcher(config BatcherConfig, log *slog.Logger, m *metrics) (*Batcher, error) {
	if config.Workers < 1 {
		return nil, fmt.Errorf("%w: %d workers: give at least 1", inspection.ErrInvalid, config.Workers)
	}
	queue, err := schedule.New[Session, *item](schedule.Config{Executors: config.Workers, Depth: config.Queue, MaxDelay: config.MaxDelay}, time.Now())
	if err != nil {
		return nil, err
	}
	b := &Batcher{config: config, log: log, metrics: m, queue: queue, wake: make(chan struct{}, config.Workers), quit: make(chan struct{}), threads: newThreads(config.Workers)}
	for i := range config.Workers {
		w := &worker{batcher: b, number: i}
		b.workers.Go(w.run)
	}
	return b, nil
}

// Do runs task on session and returns when its answer is there, or with an error: inspection.ErrOverloaded at once where
// the queue is full, inspection.ErrDeadline as soon as it cannot be in time any more, ctx's error, inspection.ErrClosed, or
// what Fill, the run or Read said. Only after a nil error may the caller look at the task: after any other a worker may
// still be at it.
func (b *Batcher) Do(ctx context.Context, session Session, order Order, task Task) error {
	it := &item{ctx: ctx, session: session, task: task, order: order, since: time.Now(), reply: make(chan error, 1)}
	it.waits = order.sample(session, it.since)
	it.waits.Value = it
	last, err := b.push(it)
	if err != nil {
		task.Release()
		return err
	}
	var late <-chan time.Time
	var timer *time.Timer
	if !last.IsZero() {
		timer = b.timerAt(last)
		defer func() {
			timer.Stop()
			b.timers.Put(timer)
		}()
		late = timer.C
	}
	for {
		select {
		case err := <-it.reply:
			return err
		case <-ctx.Done():
			if b.withdraw(it) {
				task.Release()
			}
			return ctx.Err()
		case <-late:
			now := time.Now()
			again, err := b.expire(it, now)
			if err != nil {
				task.Release()
				return err
			}
			if again.IsZero() {
				late = nil // it has begun, and its late answer is evidence
			} else {
				timer.Reset(again.Sub(now))
			}
		}
	}
}

// sample is what the queue knows of a sample of a session that came at a time.
func (o Order) sample(session Session, came time.Time) schedule.Sample[Session, *item] {
	return schedule.Sample[Session, *item]{
		Session: session, Class: o.Class, Deadline: o.Deadline, Arrival: came, Source: o.Source, Bytes: o.Bytes, Follow: o.Follow,
	}
}

// Latest returns until when a sample that is not queued could still be in time if it were, and false where there is no
// such time. It moves as run times are measured: ask again then.
func (b *Batcher) Latest(session Session, order Order) (time.Time, bool) {
	now := time.Now()
	s := order.sample(session, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.Latest(&s, now)
}

// timerAt returns a timer that rings at a time, a used one where there is one.
func (b *Batcher) timerAt(t time.Time) *time.Timer {
	timer, ok := b.timers.Get().(*time.Timer)
	if !ok {
		return time.NewTimer(time.Until(t))
	}
	timer.Reset(time.Until(t))
	return timer
}

var (
	errExpired = fmt.Errorf("waiting for a worker: %w", inspection.ErrDeadline)
	errDropped = fmt.Errorf("too late to be judged in time: %w", inspection.ErrDeadline)
)

// push queues an item or says why not. last is when it will be too late to begin with it, zero where it never will.
func (b *Batcher) push(it *item) (last time.Time, err error) {
	if err := it.ctx.Err(); err != nil {
		return last, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return last, fmt.Errorf("inference: %w", inspection.ErrClosed)
	}
	if !b.queue.Introduced(it.session) {
		b.queue.Introduce(it.session, shapeOf(it.session))
	}
	err = b.queue.Add(&it.waits, it.since)
	switch {
	case errors.Is(err, inspection.ErrDeadline):
		return last, b.tooLate(it, it.since)
	case err != nil:
		b.metrics.refused.Inc()
		return last, err
	}
	b.metrics.depth.Inc()
	select {
	case b.wake <- struct{}{}:
	default: // as many tokens as workers lie there: each will look
	}
	last, _ = b.queue.LastStart(&it.waits, it.since)
	return last, nil
}

// shapeOf guesses at a session of which nothing was measured yet. On a CPU a batch gains little (measured, 22.7 ms a frame
// in a batch of 1, 23.1 in one of 4) and every member waits for all; elsewhere most of a small batch is overhead.
func shapeOf(s Session) schedule.Curve {
	if s.Device() == CPU {
		return schedule.Proportional(s.BatchSizes())
	}
	return schedule.Overhead(s.BatchSizes())
}

// tooLate counts an item that cannot be in time and returns what its caller is told.
func (b *Batcher) tooLate(it *item, now time.Time) error {
	if it.expired(now) {
		b.metrics.expired.Inc()
		return errExpired
	}
	b.metrics.dropped.WithLabelValues(it.order.Class.String()).Inc()
	return errDropped
}

func (it *item) expired(now time.Time) bool {
	return !it.order.Deadline.IsZero() && !now.Before(it.order.Deadline)
}

// dead returns why an item is not to be begun, or nil.
func (it *item) dead(now time.Time) error {
	if err := it.ctx.Err(); err != nil {
		return err
	}
	if it.expired(now) {
		return errExpired
	}
	return nil
}

// withdraw takes an item out of the queue; false means that a worker has it.
func (b *Batcher) withdraw(it *item) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.queue.Remove(&it.waits) {
		return false
	}
	b.metrics.depth.Dec()
	return true
}

// expire takes an item that is too late out of the queue and returns what its caller is told. Without an error it returns
// when to ask again: run times may have changed since the last time; zero where a worker has it.
func (b *Batcher) expire(it *item, now time.Time) (again time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queue.Expire(&it.waits, now) {
		b.metrics.depth.Dec()
		return again, b.tooLate(it, now)
	}
	if b.queue.Waits(&it.waits) {
		again, _ = b.queue.LastStart(&it.waits, now)
	}
	return again, nil
}

// pick takes a worker's next batch out of the queue. Where there is one but it may still grow, it returns how long to wait;
// a duration of 0 and no batch mean that nothing is queued. Those that were dropped are the worker's to answer.
func (b *Batcher) pick(worker int, now time.Time) (batch, dropped []*item, wait time.Duration) {
	b.mu.Lock()
	d := b.queue.Next(worker, now)
	b.metrics.depth.Sub(float64(len(d.Batch) + len(d.Dropped)))
	b.mu.Unlock()
	return itemsOf(d.Batch), itemsOf(d.Dropped), d.Wait
}

func itemsOf(samples []*schedule.Sample[Session, *item]) (items []*item) {
	for _, s := range samples {
		items = append(items, s.Value)
	}
	return items
}

// waiting reports whether anything is queued.
func (b *Batcher) waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.Len() > 0
}

// SetCurve says how long a session's batches take, as was measured; what workers measure corrects it from here on. The
// error wraps inspection.ErrInvalid.
func (b *Batcher) SetCurve(session Session, c schedule.Curve) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.SetCurve(session, c, time.Now())
}

// SetAlone says how long one sample takes that has all threads, where a session can run so.
func (b *Batcher) SetAlone(session Session, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue.ObserveAlone(session, took, time.Now())
}

// Curve returns a session's curve as it is now, and false where nothing was measured yet.
func (b *Batcher) Curve(session Session) (schedule.Curve, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.Curve(session)
}

// Forget drops what is known of a session that is no longer used.
func (b *Batcher) Forget(session Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue.Forget(session)
}

// observe notes how long a run took, and the filling before it. wide says that it was one by all threads.
func (b *Batcher) observe(items []*item, size int, wide bool, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, it := range items {
		b.queue.ObserveFill(it.order.Source, it.order.Bytes, it.filling, now)
	}
	switch session := items[0].session; {
	case session == chores{}: // what it does is done where others fill in
		b.queue.Observe(session, size, items[0].filling+took, now)
	case !wide:
		b.queue.Observe(session, size, took, now)
	case size == 1:
		b.queue.ObserveAlone(session, took, now)
	}
}

// Close refuses new samples, answers those that wait, as far as they are still in time, and returns when the workers are
// done. It may be called twice.
func (b *Batcher) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		b.queue.Close()
		close(b.quit)
	}
	b.mu.Unlock()
	b.workers.Wait()
}
