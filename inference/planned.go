package inference

import (
	"fmt"
	"slices"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inference/schedule"
	"github.com/assay-vision/assay/inspection"
)

// planned is a session whose runs are held against the plan that it was opened by.
type planned struct {
	Session
	plan  plan.Plan
	watch *plan.Watch
}

// teach tells a batcher what was measured, so that it need not learn it from late frames.
func (p *planned) teach(b *Batcher) error {
	var c schedule.Curve
	for _, q := range p.plan.Curve() {
		c = append(c, schedule.Point{Size: q.Batch, Expected: q.Median, P99: max(q.P99, q.Median)})
	}
	slices.SortFunc(c, func(a, b schedule.Point) int { return a.Size - b.Size })
	if smallest := p.BatchSizes()[0]; len(c) == 0 || c[0].Size != smallest {
		return fmt.Errorf("%w: no time was measured for the smallest batch, %d", inspection.ErrInvalid, smallest)
	}
	if err := b.SetCurve(p, c); err != nil {
		return err
	}
	if idle := p.plan.Choice.Idle; idle != nil {
		b.SetAlone(p, idle.Median)
	}
	return nil
}

// Lease implements Session.
func (p *planned) Lease(size int) (Batch, error) {
	b, err := p.Session.Lease(size)
	if err != nil {
		return nil, err
	}
	t := timedBatch{Batch: b, watch: p.watch, size: size}
	if w, ok := b.(WideBatch); ok {
		return &timedWideBatch{t, w}, nil
	}
	return &t, nil
}

// timedBatch tells the watch how long its runs take.
type timedBatch struct {
	Batch
	watch *plan.Watch
	size  int
}

// Run implements Batch.
func (b *timedBatch) Run() ([]decode.Output, error) { return b.timed(false, b.Batch.Run) }

func (b *timedBatch) timed(wide bool, run func() ([]decode.Output, error)) ([]decode.Output, error) {
	start := time.Now()
	outs, err := run()
	if err == nil {
		b.watch.See(wide, b.size, time.Since(start))
	}
	return outs, err
}

// timedWideBatch is a timedBatch that all threads can run.
type timedWideBatch struct {
	timedBatch
	wide WideBatch
}

var _ WideBatch = (*timedWideBatch)(nil)

// RunWide implements WideBatch.
func (b *timedWideBatch) RunWide() ([]decode.Output, error) { return b.timed(true, b.wide.RunWide) }
