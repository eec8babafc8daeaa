package inference

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/assay-vision/assay/inference/decode"
)

// worker is one native thread's work: it takes a batch, fills it, runs it and answers.
type worker struct {
	batcher *Batcher
	number  int
	single  bool // nobody else worked when this one began with its batch
}

// run works until the batcher is closed and its queue empty.
func (w *worker) run() {
	b := w.batcher
	if b.config.Yield {
		if err := yield(); err != nil {
			b.log.Warn("threads that compute have the priority of those that answer, which may be late under load", "error", err)
		}
	}
	quit := b.quit
	for {
		w.single = b.threads.take()
		now := time.Now()
		batch, dropped, wait := b.pick(w.number, now)
		for _, it := range dropped {
			_ = w.guard(func() error { it.finish(b.tooLate(it, now)); return nil })
		}
		if batch != nil {
			w.serve(batch)
		}
		b.threads.give()
		if batch != nil {
			continue
		}
		if quit == nil && wait == 0 {
			return
		}
		var ripe <-chan time.Time
		if wait > 0 {
			ripe = time.After(wait)
		}
		select {
		case <-b.wake:
		case <-ripe:
		case <-quit:
			quit = nil // once more around: what is queued gets its answer
		}
	}
}

// serve brings a batch all the way. Whatever happens, each of its items is answered and released once.
func (w *worker) serve(items []*item) {
	defer func() {
		if r := recover(); r != nil {
			err := w.caught(r)
			for _, it := range items {
				it.finish(err)
			}
		}
	}()
	now := time.Now()
	live := items[:0:0]
	for _, it := range items {
		if it.session != (chores{}) {
			w.batcher.metrics.queueWait.Observe(now.Sub(it.since).Seconds())
		}
		if !w.drop(it, now) {
			live = append(live, it)
		}
	}
	if len(live) > 0 {
		w.serveBatch(live)
	}
}

// drop answers an item that is not to be begun any more.
func (w *worker) drop(it *item, now time.Time) bool {
	err := it.dead(now)
	if err == errExpired { //nolint:errorlint // our own value, never wrapped
		w.batcher.metrics.expired.Inc()
	}
	if err != nil {
		it.finish(err)
	}
	return err != nil
}

func (w *worker) serveBatch(items []*item) {
	size := sizeFor(len(items), items[0].session.BatchSizes())
	batch, err := items[0].session.Lease(size)
	if err != nil {
		for _, it := range items {
			it.finish(err)
		}
		return
	}
	defer batch.Release()
	filled := w.fill(batch, size, items)
	if len(filled) == 0 {
		return
	}
	clearSlots(batch, size, len(filled))
	if items[0].session != (chores{}) {
		w.batcher.metrics.batchSize.Observe(float64(len(filled)))
	}
	start := time.Now()
	outs, err := w.runBatch(batch, size, filled)
	end := time.Now()
	switch {
	case err == nil:
		for at, it := range filled {
			it.finish(w.guard(func() error { return it.task.Read(outs, at, start, end) }))
		}
	case len(filled) == 1:
		filled[0].finish(err)
	default:
		w.batcher.metrics.retried.Inc()
		w.batcher.log.Warn("a batch failed and is run again sample by sample", "samples", len(filled), "error", err)
		w.retry(batch, size, filled)
	}
}

// fill lets each item fill the next free slot and returns those that did; an item that cannot is answered, and its slot is
// the next one's.
func (w *worker) fill(batch Batch, size int, items []*item) []*item {
	var filled []*item
	for _, it := range items {
		if w.drop(it, time.Now()) {
			continue
		}
		slots := slotsOf(batch, size, len(filled))
		start := time.Now()
		if err := w.guard(func() error { return it.task.Fill(w.number, slots) }); err != nil {
			it.finish(err)
			continue
		}
		it.filling = time.Since(start)
		filled = append(filled, it)
	}
	return filled
}

// retry runs each sample of a failed batch by itself, so that one that the network cannot bear does not fail the others.
func (w *worker) retry(batch Batch, size int, items []*item) {
	for at, it := range items {
		if w.drop(it, time.Now()) {
			continue
		}
		it.finish(w.guard(func() error { return w.alone(it, slotsOf(batch, size, at)) }))
	}
}

// alone runs one sample in the smallest batch.
func (w *worker) alone(it *item, sample [][]byte) error {
	size := it.session.BatchSizes()[0]
	batch, err := it.session.Lease(size)
	if err != nil {
		return err
	}
	defer batch.Release()
	for i, slot := range slotsOf(batch, size, 0) {
		copy(slot, sample[i])
	}
	clearSlots(batch, size, 1)
	start := time.Now()
	outs, err := w.runBatch(batch, size, []*item{it})
	if err != nil {
		return err
	}
	return it.task.Read(outs, 0, start, time.Now())
}

// runBatch runs a batch, by all threads where it came alone and still is: then nobody else has a use for them. How long it
// took tells the queue what to expect of the next one.
func (w *worker) runBatch(batch Batch, size int, items []*item) (outs []decode.Output, err error) {
	start, isWide := time.Now(), false
	err = w.guard(func() error {
		if wide, ok := batch.(WideBatch); ok && w.single && w.batcher.widen() {
			isWide = true
			defer w.batcher.threads.giveRest()
			outs, err = wide.RunWide()
			return err
		}
		outs, err = batch.Run()
		return err
	})
	if err == nil {
		w.batcher.observe(items, size, isWide, time.Since(start))
	}
	return outs, err
}

// guard turns a panic into an error, so that a fault in one sample's way stays that sample's.
func (w *worker) guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = w.caught(r)
		}
	}()
	return f()
}

func (w *worker) caught(r any) error {
	w.batcher.metrics.panics.Inc()
	w.batcher.log.Error("panic while judging; please report it", "panic", r, "stack", string(debug.Stack()))
	return fmt.Errorf("panic while judging: %v", r)
}

// finish releases an item's task and answers its caller, once. The task goes first: after the answer it is the caller's.
func (it *item) finish(err error) {
	if it.done {
		return
	}
	it.done = true
	defer func() { it.reply <- err }()
	it.task.Release()
}

// sizeFor returns the smallest batch size that holds n samples.
func sizeFor(n int, sizes []int) int {
	for _, size := range sizes {
		if size >= n {
			return size
		}
	}
	return sizes[len(sizes)-1]
}

// slotsOf returns the memory of the sample numbered at in each input.
func slotsOf(batch Batch, size, at int) [][]byte {
	inputs := batch.Inputs()
	slots := make([][]byte, len(inputs))
	for i, in := range inputs {
		n := len(in) / size
		slots[i] = in[at*n : (at+1)*n : (at+1)*n]
	}
	return slots
}

// clearSlots empties the slots from the one numbered from, so that no earlier picture is run again as padding.
func clearSlots(batch Batch, size, from int) {
	for at := from; at < size; at++ {
		for _, slot := range slotsOf(batch, size, at) {
			clear(slot)
		}
	}
}
