package inference

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inspection"
)

// bench runs the graphs of a model for a planner, run by run as chores, so that the node's own frames go first.
type bench struct {
	batcher *Batcher
	graphs  map[string]Session // by variant
	// picture fills every batch, because what a graph costs may depend on what it sees; empty: what the tensors happen to hold.
	picture []goldenTensor
}

var _ plan.Bench = bench{}

// Run implements plan.Bench.
func (x bench) Run(ctx context.Context, s plan.Setting) ([]time.Duration, error) {
	took, errs := make([]time.Duration, s.Callers), make([]error, s.Callers)
	var callers sync.WaitGroup
	for i := range s.Callers {
		callers.Go(func() { took[i], errs[i] = x.once(ctx, s) })
	}
	callers.Wait()
	return took, errors.Join(errs...)
}

// once is one caller's run.
func (x bench) once(ctx context.Context, s plan.Setting) (took time.Duration, err error) {
	batch, err := x.graphs[s.Variant].Lease(s.Batch)
	if err != nil {
		return 0, err
	}
	defer batch.Release()
	if len(x.picture) > 0 {
		fillGolden(batch, s.Batch, x.picture, 0)
	}
	run, wide := batch.Run, s.Threads > 1
	if wide {
		w, ok := batch.(WideBatch)
		if !ok {
			return 0, fmt.Errorf("%w: the session of graph %s has no run by %d threads", inspection.ErrInvalid, s.Variant, s.Threads)
		}
		run = w.RunWide
	}
	err = x.batcher.Background(ctx, wide, func() error {
		start := time.Now()
		_, err := run()
		took = time.Since(start)
		return err
	})
	return took, err
}
