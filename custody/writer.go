package custody

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// write is entries that stand together, on their way to the disk. err and took are valid once done is closed.
type write struct {
	entries []inspection.Entry
	since   time.Time
	by      time.Time     // its commit must not be put off beyond this; zero: any time
	putOff  time.Duration // how long it waited for others; the writer's
	done    chan struct{}
	err     error
	took    time.Duration
}

// writer commits in groups that clock themselves: what arrives during one commit makes the next, which waits a little
// where that makes it larger. It is the only caller of Store.Commit, so that writes reach the disk in the order of their
// submission.
type writer struct {
	store   Store
	group   int // entries of one commit
	spacing time.Duration
	reserve *reserve
	judging atomic.Int64 // frames that are being judged: each will be a write
	log     *slog.Logger
	m       *metrics

	queue chan *write
	gone  chan struct{}

	mu     sync.Mutex
	closed bool

	began    time.Time          // of the last commit; loop only
	entries  []inspection.Entry // memory for those of one commit; loop only
	failing  bool               // the last commit failed; loop only
	failed   int                // entries not recorded since the last log line; loop only
	reported time.Time
}

func newWriter(ctx context.Context, cfg Config, store Store, r *reserve, log *slog.Logger, m *metrics) *writer {
	w := &writer{
		store: store, group: cfg.CommitGroup, spacing: cfg.CommitSpacing, reserve: r, log: log, m: m,
		queue: make(chan *write, cfg.CommitQueue), gone: make(chan struct{}),
	}
	go w.loop(ctx)
	return w
}

// submit hands entries over and does not wait; their commit may be put off until by. ErrOverloaded: the queue is full;
// ErrClosed: the writer was closed.
func (w *writer) submit(entries []inspection.Entry, by time.Time) (*write, error) {
	wr := &write{entries: entries, since: time.Now(), by: by, done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, inspection.ErrClosed
	}
	select {
	case w.queue <- wr:
		return wr, nil
	default:
		return nil, fmt.Errorf("%w: %d writes wait for the disk", inspection.ErrOverloaded, cap(w.queue))
	}
}

// commit hands entries over and waits until they are on disk.
func (w *writer) commit(entries []inspection.Entry, by time.Time) (time.Duration, error) {
	wr, err := w.submit(entries, by)
	if err != nil {
		return 0, err
	}
	<-wr.done
	return wr.took, wr.err
}

// close finishes what is queued, then stops.
func (w *writer) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.gone
}

func (w *writer) loop(ctx context.Context) {
	defer close(w.gone)
	var next *write
	for {
		if next == nil {
			var open bool
			if next, open = <-w.queue; !open {
				return
			}
		}
		var batch []*write
		batch, next = w.gather(ctx, next)
		w.commitBatch(ctx, batch)
	}
}

// gather takes what is queued, up to one group, and waits for more as long as that is worth it. A write that does not fit
// comes back as next.
func (w *writer) gather(ctx context.Context, first *write) (batch []*write, next *write) {
	size := 0
	for wr := first; wr != nil; wr = w.another(ctx, batch) {
		if size > 0 && size+len(wr.entries) > w.group {
			return batch, wr
		}
		batch = append(batch, wr)
		if size += len(wr.entries); size >= w.group {
			break
		}
	}
	return batch, nil
}

// another returns the next write for a batch, or nil when the batch is to be committed now.
func (w *writer) another(ctx context.Context, batch []*write) *write {
	select {
	case wr := <-w.queue: // nil when it is closed
		return wr
	default:
	}
	// Those who wait are held up only for the sake of at least twice as many who are still to come: where few frames are in
	// flight, the camera sends no other before it has its answer.
	wait := time.Until(w.began.Add(w.spacing))
	for _, wr := range batch {
		if !wr.by.IsZero() {
			wait = min(wait, time.Until(wr.by))
		}
	}
	if wait <= 0 || w.judging.Load() < 2*int64(len(batch)) {
		return nil
	}
	timer, from := time.NewTimer(wait), time.Now()
	defer func() {
		timer.Stop()
		for _, wr := range batch {
			wr.putOff += time.Since(from)
		}
	}()
	select {
	case wr := <-w.queue:
		return wr
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// commitBatch commits a group. A group that failed for another reason than the disk or an abort is tried again write by
// write, so that one entry that the store refuses does not take its neighbours with it.
func (w *writer) commitBatch(ctx context.Context, batch []*write) {
	err := w.commitOnce(ctx, batch)
	alone := len(batch) == 1 || errors.Is(err, inspection.ErrDiskFull) || ctx.Err() != nil
	for _, wr := range batch {
		wr.err = err
		if err != nil && !alone {
			wr.err = w.commitOnce(ctx, []*write{wr})
		}
		w.finish(wr)
	}
}

func (w *writer) commitOnce(ctx context.Context, batch []*write) error {
	entries := w.entries[:0]
	for _, wr := range batch {
		entries = append(entries, wr.entries...)
	}
	w.entries = entries
	defer clear(entries) // or they would keep alive what they point to
	began := time.Now()
	w.began = began
	err := w.store.Commit(ctx, entries)
	if err != nil {
		w.m.commitErrors.Inc()
		return fmt.Errorf("commit %d entries: %w", len(entries), err)
	}
	w.m.commitTime.Observe(time.Since(began).Seconds())
	w.m.commitGroup.Observe(float64(len(entries)))
	return nil
}

// finish lets the submitter of a write go on, and reports failures as a sum, once a second.
func (w *writer) finish(wr *write) {
	wr.took = time.Since(wr.since)
	if wr.err == nil {
		w.reserve.add(wr.took - wr.putOff) // a write that cannot wait is not put off
	}
	close(wr.done)
	switch {
	case wr.err != nil:
		w.failed += len(wr.entries)
		if !w.failing || time.Since(w.reported) >= time.Second {
			w.log.Error("not recorded: cameras get the fallback and will send these frames again; see to the data disk",
				"entries", w.failed, "error", wr.err)
			w.failed, w.reported = 0, time.Now()
		}
		w.failing = true
	case w.failing:
		w.log.Info("recording again", "entries_failed_since_last_report", w.failed)
		w.failing, w.failed = false, 0
	}
}
