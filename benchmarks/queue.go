package benchmarks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assay-vision/assay/benchmarks/raw"
	"github.com/assay-vision/assay/camera/load"
)

// queue serves a timetable by the raw loop's callers in this process: frames wait in a policy's order, and nothing is sent, recorded or
// kept. It is what this machine can keep of deadlines in these minutes, whoever serves: its cores are not always there when
// they are wanted, which the simulated servers of P4 and the ideal of P3 do not know.
type queue struct {
	policy   policy
	table    load.Schedule
	deadline time.Duration // of frames without a budget of their own
	service  time.Duration // what a run is thought to take when the hopeless are dropped

	mu      sync.Mutex
	begin   time.Time
	next    int // of table
	waiting []waiting
	good    []bool
}

// enter moves the frames that have come by now into the queue. The caller holds mu.
func (q *queue) enter(now time.Duration) {
	for ; q.next < len(q.table) && q.table[q.next].At <= now; q.next++ {
		q.waiting = append(q.waiting, waits(q.table, q.next, q.deadline))
	}
}

// pick takes the first frame of the queue in the policy's order that can still be in time. The caller holds mu.
func (q *queue) pick(now time.Duration) (frame int, ok bool) {
	for len(q.waiting) > 0 {
		w := q.policy.pop(&q.waiting)
		if !q.policy.drops || now+q.service <= w.deadline {
			return w.index, true
		}
	}
	return 0, false
}

// take waits for the next frame to run; there is none after the last one.
func (q *queue) take() (frame int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		now := time.Since(q.begin)
		q.enter(now)
		if frame, ok = q.pick(now); ok {
			return frame, true
		}
		if q.next == len(q.table) {
			return 0, false
		}
		due := q.begin.Add(q.table[q.next].At)
		q.mu.Unlock()
		time.Sleep(time.Until(due))
		q.mu.Lock()
	}
}

// done notes that a frame's run has ended.
func (q *queue) done(frame int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.good[frame] = time.Since(q.begin) <= waits(q.table, frame, q.deadline).deadline
}

// queued serves a timetable by the raw loop in its fastest setting, a frame a call, and returns which frames were in time.
// rate is what the loop does in frames a second.
func (w *workload) queued(ctx context.Context, p policy, table load.Schedule, deadline time.Duration, rate float64) (good []bool, err error) {
	setting := raw.Fastest(w.sweep)
	setting.Batch = 1
	l, err := w.model.Loop(setting, w.samples)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if _, err := l.Run(ctx, 200*time.Millisecond); err != nil { // warm
		return nil, err
	}
	q := &queue{
		policy: p, table: table, deadline: deadline, service: time.Duration(float64(setting.Callers) / rate * float64(time.Second)),
		good: make([]bool, len(table)), begin: time.Now(),
	}
	err = l.Drive(ctx, q.take, q.done)
	return q.good, err
}

// shareOf is the share of frames that were in time.
func shareOf(good []bool) float64 {
	n := 0
	for _, ok := range good {
		if ok {
			n++
		}
	}
	return float64(n) / float64(max(1, len(good)))
}

// queueAfter runs the queue on the timetable of a served run, right after it, and then the raw loop again. between is the
// raw loop before it.
func (s *suite) queueAfter(ctx context.Context, w *workload, p policy, table load.Schedule, between raw.Figures) (good []bool, after raw.Figures, err error) {
	if good, err = w.queued(ctx, p, table, deadline, between.Rate); err != nil {
		return nil, after, err
	}
	after, err = w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
	return good, after, err
}

// besides compares served runs with the queue.
type besides struct {
	ratios []pair // served over the queue
	shares []float64
}

// add takes a served run's share in time, between the raw loop before and after it, the queue's on the same timetable, and the
// rate of the raw loop after that.
func (b *besides) add(served pair, queued, after float64) {
	b.shares = append(b.shares, queued)
	p := pair{figure: served.figure / queued, before: served.after, after: after, fault: served.void()}
	if queued == 0 {
		p.figure, p.fault = 0, cmp.Or(p.fault, "the queue had none in time")
	}
	b.ratios = append(b.ratios, p)
}

// row is a line without a bar.
func (b *besides) row(id, what string) Row {
	r := newRow(id, what+" over a queue", Bar{}, "", judge(b.ratios, plain))
	all := spreadOf(b.shares)
	r.Raw = fmt.Sprintf("raw in a queue here, in time %.4f (%.4f-%.4f)", all.Median, all.Min, all.Max)
	return r
}
