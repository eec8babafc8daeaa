package inference

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/assay-vision/assay/inference/decode"
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
	Deadline time.Time // when it is no use to begin any more; zero means never
}

// Batcher queues samples, forms batches of those that share a session, and gives every caller its own answer. The heavier
// class goes first, then who came first. A sample whose context ended or whose deadline passed is not begun; one that has
// begun is finished.
type Batcher struct {
	config  BatcherConfig
	log     *slog.Logger
	metrics *metrics
	wake    chan struct{} // a token for each worker at most: look at the queue
	quit    chan struct{}
	workers sync.WaitGroup
	threads *threads

	mu     sync.Mutex
	queues [classes][]*item // by class; first come first
	closed bool
}

const classes = int(inspection.ClassBackground) + 1

// item is a task in the queue or in a worker's hands.
type item struct {
	ctx     context.Context
	session Session
	task    Task
	order   Order
	since   time.Time
	reply   chan error // has room for its one answer
	done    bool       // answered and released; the worker's
}

// newBatcher starts the workers; Close stops them.
func newBatcher(config BatcherConfig, log *slog.Logger, m *metrics) (*Batcher, error) {
	switch {
	case config.Workers < 1:
		return nil, fmt.Errorf("%w: %d workers: give at least 1", inspection.ErrInvalid, config.Workers)
	case config.Queue < 1:
		return nil, fmt.Errorf("%w: queue of %d: give at least 1", inspection.ErrInvalid, config.Queue)
	case config.MaxDelay < 0:
		return nil, fmt.Errorf("%w: max delay %v is negative", inspection.ErrInvalid, config.MaxDelay)
	}
	b := &Batcher{config: config, log: log, metrics: m, wake: make(chan struct{}, config.Workers), quit: make(chan struct{}), threads: newThreads(config.Workers)}
	for i := range config.Workers {
		w := &worker{batcher: b, number: i}
		b.workers.Go(w.run)
	}
	return b, nil
}

// Do runs task on session and returns when its answer is there, or with an error: inspection.ErrOverloaded at once where
// the queue is full, inspection.ErrDeadline when its deadline comes before a worker, ctx's error, inspection.ErrClosed, or
// what Fill, the run or Read said. Only after a nil error may the caller look at the task: after any other a worker may
// still be at it.
func (b *Batcher) Do(ctx context.Context, session Session, order Order, task Task) error {
	it := &item{ctx: ctx, session: session, task: task, order: order, since: time.Now(), reply: make(chan error, 1)}
	if err := b.push(it); err != nil {
		task.Release()
		return err
	}
	var late <-chan time.Time
	if !order.Deadline.IsZero() {
		timer := time.NewTimer(time.Until(order.Deadline))
		defer timer.Stop()
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
			if b.withdraw(it) {
				task.Release()
				b.metrics.expired.Inc()
				return errExpired
			}
			late = nil // it has begun, and its late answer is evidence
		}
	}
}

var errExpired = fmt.Errorf("waiting for a worker: %w", inspection.ErrDeadline)

// push queues an item or says why not.
func (b *Batcher) push(it *item) error {
	if err := it.ctx.Err(); err != nil {
		return err
	}
	if it.expired(it.since) {
		b.metrics.expired.Inc()
		return errExpired
	}
	class := min(int(it.order.Class), classes-1)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return fmt.Errorf("inference: %w", inspection.ErrClosed)
	case len(b.queues[class]) >= b.config.Queue:
		b.metrics.refused.Inc()
		return fmt.Errorf("%w: %d samples of class %s wait already", inspection.ErrOverloaded, b.config.Queue, it.order.Class)
	}
	b.queues[class] = append(b.queues[class], it)
	b.metrics.depth.Inc()
	select {
	case b.wake <- struct{}{}:
	default: // as many tokens as workers lie there: each will look
	}
	return nil
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
	for c := range b.queues {
		if i := slices.Index(b.queues[c], it); i >= 0 {
			b.queues[c] = slices.Delete(b.queues[c], i, i+1)
			b.metrics.depth.Dec()
			return true
		}
	}
	return false
}

// pick takes the next batch out of the queue. Where there is one but it may still grow, it returns how long to wait; a
// duration of 0 and no batch mean that nothing is queued.
func (b *Batcher) pick(now time.Time) (batch []*item, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	head := b.head()
	if head == nil {
		return nil, 0
	}
	same := 0
	for _, q := range b.queues {
		for _, it := range q {
			if it.session == head.session {
				same++
			}
		}
	}
	if w := b.delay(head, same, now); w > 0 {
		return nil, w
	}
	n := b.share(same, head.session)
	for c := range b.queues {
		b.queues[c] = slices.DeleteFunc(b.queues[c], func(it *item) bool {
			if len(batch) == n || it.session != head.session {
				return false
			}
			batch = append(batch, it)
			return true
		})
	}
	b.metrics.depth.Sub(float64(len(batch)))
	return batch, 0
}

// waiting reports whether anything is queued.
func (b *Batcher) waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head() != nil
}

// head returns the first item of the heaviest class.
func (b *Batcher) head() *item {
	for _, q := range b.queues {
		if len(q) > 0 {
			return q[0]
		}
	}
	return nil
}

// share returns how many of the queued samples of one session a worker takes: its share of them, so that one does not take
// all while others idle, cut to a batch size, so that nothing is computed for padding. On a CPU that is one: there a batch
// gains nothing (measured, 22.7 ms a frame in a batch of 1, 23.1 in one of 4) and every member waits for all.
func (b *Batcher) share(queued int, session Session) int {
	sizes := session.BatchSizes()
	n := sizes[0]
	if session.Device() == CPU {
		return n
	}
	mine := (queued + b.config.Workers - 1) / b.config.Workers
	for _, size := range sizes {
		if size <= mine {
			n = size
		}
	}
	return n
}

// delay returns how long a batch should still wait to be filled: never past the first one's deadline, not at all when
// closing.
func (b *Batcher) delay(head *item, queued int, now time.Time) time.Duration {
	sizes := head.session.BatchSizes()
	if b.config.MaxDelay == 0 || b.closed || queued >= sizes[len(sizes)-1] || head.session.Device() == CPU {
		return 0
	}
	w := b.config.MaxDelay - now.Sub(head.since)
	if !head.order.Deadline.IsZero() {
		w = min(w, head.order.Deadline.Sub(now)-b.config.MaxDelay)
	}
	return max(w, 0)
}

// Close refuses new samples, answers those that wait, as far as they are still in time, and returns when the workers are
// done. It may be called twice.
func (b *Batcher) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.quit)
	}
	b.mu.Unlock()
	b.workers.Wait()
}
