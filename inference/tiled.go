package inference

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inference/tiling"
	"github.com/assay-vision/assay/inspection"
)

// tiled is one frame on its way through the workers in tiles. The worker that has the first tile decodes, measures and
// aligns; only then are the others queued, which read the same pixels. It lives until the last tile is released, also
// where its frame's caller is gone.
type tiled struct {
	*sample
	grid  tiling.Grid
	order Order
	shift imaging.Shift
	heat  *tiling.Heat
	said  [][]inspection.Candidate // by tile
	spent []inspection.Timings     // by tile
	refs  atomic.Int64             // tiles that are not released, and its caller
}

// cut returns the tiles of a picture, none where it goes whole. Errors wrap inspection.ErrImage.
func (e *Engine) cut(in *instance, im inspection.Image) (tiling.Grid, error) {
	t := in.recipe.Tiling
	if t == (inspection.Tiling{}) {
		return tiling.Grid{}, nil
	}
	h, err := imaging.ReadHeader(im, e.limits)
	if err != nil || tiling.Fits(t, h.Width, h.Height) {
		return tiling.Grid{}, err
	}
	letterboxed := !slices.ContainsFunc(in.model.specs, func(s imaging.Spec) bool { return s.Resize != imaging.Letterbox })
	if (h.Width < t.Width || h.Height < t.Height) && !letterboxed {
		return tiling.Grid{}, fmt.Errorf("%w: a picture of %d x %d px has no whole tile of %d x %d, and the model takes no other shape", inspection.ErrImage, h.Width, h.Height, t.Width, t.Height)
	}
	return tiling.Cut(t, h.Width, h.Height)
}

// doTiles is Batcher.Do for a frame that is cut into the tiles of g: it runs them, at most two for each worker at the same
// time, and leaves in s what s would have read by itself. The first tile that fails fails the frame: what was not begun of the
// others is not begun any more. order is the frame's. It releases s.
func (e *Engine) doTiles(ctx context.Context, order Order, s *sample, g tiling.Grid) error {
	order.Follow = len(g.Tiles) - 1
	err := e.gate.enter(ctx, order.Class, func() (time.Time, bool) { return e.batcher.Latest(s.in.model.session, order) })
	if err != nil {
		e.gateRefused(order, err)
		s.Release()
		return err
	}
	f := newTiled(s, order, g)
	defer f.release()
	if err := f.do(ctx, 0); err != nil {
		return err
	}
	if err := f.rest(ctx); err != nil {
		return err
	}
	return f.sum()
}

// newTiled returns a frame that is let in and held once.
func newTiled(s *sample, order Order, g tiling.Grid) *tiled {
	n := len(g.Tiles)
	s.shared = imaging.NewPicture()
	f := &tiled{sample: s, grid: g, order: order, heat: tiling.NewHeat(g), said: make([][]inspection.Candidate, n), spent: make([]inspection.Timings, n)}
	f.refs.Store(1)
	return f
}

// gateRefused counts a frame that the gate turned away.
func (e *Engine) gateRefused(order Order, err error) {
	switch {
	case errors.Is(err, inspection.ErrOverloaded):
		e.metrics.refused.Inc()
	case errors.Is(err, inspection.ErrDeadline):
		e.metrics.dropped.WithLabelValues(order.Class.String()).Inc()
	}
}

// rest runs all tiles but the first.
func (f *tiled) rest(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		hands  sync.WaitGroup
		last   atomic.Int64 // tile that was taken; the first is done
		once   sync.Once
		failed error
	)
	for range 2 * f.engine.batcher.config.Workers {
		hands.Go(func() {
			for ctx.Err() == nil {
				at := int(last.Add(1))
				if at >= len(f.grid.Tiles) {
					return
				}
				if err := f.do(ctx, at); err != nil {
					once.Do(func() { failed = err })
					cancel()
				}
			}
		})
	}
	hands.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return failed
}

// do queues the tile numbered at and returns when its answer is there.
func (f *tiled) do(ctx context.Context, at int) error {
	order := f.order
	order.Follow = len(f.grid.Tiles) - 1 - at
	if at > 0 { // it is filled from pixels, as a raw picture of its size is
		r := f.grid.Tiles[at]
		order.Source.Format, order.Source.Tile, order.Bytes = inspection.FormatRaw, true, r.Dx()*r.Dy()*f.in.model.specs[0].Colour.Components()
	}
	f.refs.Add(1)
	if err := f.engine.batcher.Do(ctx, f.in.model.session, order, &tile{of: f, at: at, since: time.Now()}); err != nil {
		return fmt.Errorf("tile %d of %d at %v: %w", at+1, len(f.grid.Tiles), f.grid.Tiles[at], err)
	}
	return nil
}

// sum makes the frame's answer of the tiles'. Steps are summed over the tiles, though workers took them side by side; the
// queue is the first tile's.
func (f *tiled) sum() (err error) {
	start := time.Now()
	if f.answer.Candidates, err = tiling.Merge(f.grid, f.said); err != nil {
		return err
	}
	if f.answer.Heatmap, err = f.heat.Map(); err != nil {
		return err
	}
	total := &f.timings
	*total = inspection.Timings{Queue: f.spent[0].Queue, ComputeOutput: time.Since(start)}
	for _, t := range f.spent {
		total.Decode += t.Decode
		total.ComputeInput += t.ComputeInput
		total.ComputeInfer += t.ComputeInfer
		total.ComputeOutput += t.ComputeOutput
	}
	return nil
}

// release gives back one reference; with the last one the decoded picture and the frame's bytes go.
func (f *tiled) release() {
	if f.refs.Add(-1) > 0 {
		return
	}
	f.shared.Close()
	f.engine.gate.leave(f.order.Class)
	f.Release()
}

// tile is one tile on its way through a worker.
type tile struct {
	of     *tiled
	at     int
	since  time.Time            // when it was queued
	filled time.Time            // when its slot was full
	place  inspection.Placement // of the tile, in the first input
}

var _ Task = (*tile)(nil)

// Fill implements Task. The first tile decodes, measures and aligns the frame.
func (t *tile) Fill(worker int, slots [][]byte) error {
	f, start := t.of, time.Now()
	spent, th := &f.spent[t.at], f.engine.threads[worker]
	spent.Queue = start.Sub(t.since)
	if t.at == 0 {
		spent.Queue = start.Sub(f.since)
		if err := f.decode(th); err != nil {
			return err
		}
		now := time.Now()
		spent.Decode, start = now.Sub(start), now
		var err error
		if f.shift, err = f.align(th); err != nil {
			return err
		}
	}
	for i, spec := range f.in.model.specs {
		var template *imaging.Template
		if f.templates != nil {
			template = f.templates[i]
		}
		place, err := th.imaging.FillTile(slots[i], spec, f.shared, f.grid.Tiles[t.at], template, f.shift)
		if err != nil {
			return err
		}
		if i == 0 {
			t.place = place
		}
	}
	t.filled = time.Now()
	spent.ComputeInput = t.filled.Sub(start)
	return nil
}

// Read implements Task. What the recipe does not report is forgotten here: it may be much, and would be united with nothing
// that matters.
func (t *tile) Read(outs []decode.Output, at int, start, end time.Time) error {
	f := t.of
	spent := &f.spent[t.at]
	spent.ComputeInfer = end.Sub(start)
	from := time.Now()
	answer, err := f.in.model.decoder.Decode(outs, at, t.place)
	if err != nil {
		return fmt.Errorf("read the model's answer: %w", err)
	}
	if answer.Heatmap != nil {
		if err := f.heat.Add(t.at, answer.Heatmap); err != nil {
			return err
		}
	}
	f.said[t.at] = slices.DeleteFunc(answer.Candidates, func(c inspection.Candidate) bool { return c.Score < f.in.recipe.ReportAt })
	spent.ComputeOutput = time.Since(from)
	return nil
}

// Release implements Task.
func (t *tile) Release() { t.of.release() }
