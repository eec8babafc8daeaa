package camera

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Paced is a Source that keeps the time of a line: the i-th shot is due at start + i/rate, whatever became of those before.
// It is an open loop: a shot that is asked for too late comes at once, and the next is not put off, so the rate holds over any
// time and a slow receiver sees how far behind it is (Shot.Due). The start is the first Next.
type Paced struct {
	wrapped
	rate  float64
	start time.Time
	shots int
	held  *pacedShot // read from the source and not due yet when ctx ended
}

type pacedShot struct {
	shot Shot
	err  error
}

// NewPaced wraps source, which it closes with itself. rate is in frames per second.
func NewPaced(source Source, rate float64) (*Paced, error) {
	if !(rate >= 1e-6 && rate <= 1e6) { // also refuses NaN
		return nil, fmt.Errorf("%w: rate is %v frames/s: use 0.000001 to 1000000", inspection.ErrInvalid, rate)
	}
	return &Paced{wrapped: wrapped{source}, rate: rate}, nil
}

// Next reads the next shot and waits until it is due. A bad shot takes its turn like a good one; the source's end comes at once.
func (p *Paced) Next(ctx context.Context) (Shot, error) {
	if p.start.IsZero() {
		p.start = time.Now()
	}
	if p.held == nil {
		// Before the wait, so that the time it takes to read a file is not added to the time of the line.
		shot, err := p.source.Next(ctx)
		if err != nil && !errors.Is(err, ErrShot) {
			return shot, err
		}
		shot.Due = p.start.Add(time.Duration(float64(p.shots) / p.rate * float64(time.Second)))
		p.held = &pacedShot{shot, err}
		p.shots++
	}
	if err := waitUntil(ctx, p.held.shot.Due); err != nil {
		return Shot{}, err
	}
	r := *p.held
	p.held = nil
	return r.shot, r.err
}

// Close closes the source inside; a shot that nobody came for is settled as not recorded.
func (p *Paced) Close() error {
	if r := p.held; r != nil {
		p.held = nil
		if r.err == nil {
			r.shot.Frame.Image.Data.Release()
			return errors.Join(p.Settle(r.shot, false), p.wrapped.Close())
		}
	}
	return p.wrapped.Close()
}

// waitUntil waits for a time and fails with ctx's error if ctx ends first.
func waitUntil(ctx context.Context, due time.Time) error {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

var (
	_ Source  = (*Paced)(nil)
	_ Settler = (*Paced)(nil)
	_ Sized   = (*Paced)(nil)
)
