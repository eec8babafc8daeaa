package schedule

import (
	"errors"
	"fmt"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// worthwhile is by how much a larger batch must raise the samples per second to be of any use.
const worthwhile = 1.03

// Point says how long one batch takes.
type Point struct {
	Size     int           // samples in the batch, padding included
	Expected time.Duration // the mean of a run
	P99      time.Duration // 99 of 100 runs end by then; at least Expected
}

// Curve says how long a session's batches take on one executor while the others are at work too: one Point for each size
// that was warmed, ascending. Decoding is not in it.
type Curve []Point

// Validate names the first point that cannot be; the error wraps inspection.ErrInvalid.
func (c Curve) Validate() error {
	if len(c) == 0 {
		return fmt.Errorf("%w: a curve without points: give one for each warmed batch size", inspection.ErrInvalid)
	}
	var errs []error
	last := 0
	for _, p := range c {
		switch {
		case p.Size <= last:
			errs = append(errs, fmt.Errorf("%w: curve has size %d after %d: give sizes of at least 1, ascending", inspection.ErrInvalid, p.Size, last))
		case p.Expected <= 0:
			errs = append(errs, fmt.Errorf("%w: curve's expected time of size %d is %v: give more than 0", inspection.ErrInvalid, p.Size, p.Expected))
		case p.P99 < p.Expected:
			errs = append(errs, fmt.Errorf("%w: curve's p99 of size %d is %v, less than the expected %v", inspection.ErrInvalid, p.Size, p.P99, p.Expected))
		}
		last = p.Size
	}
	return errors.Join(errs...)
}

// BatchFriendly reports whether some larger batch gives at least 3 % more samples per second than the smallest one.
func (c Curve) BatchFriendly() bool { return len(c.useful()) > 1 }

// useful returns the positions of the sizes that are worth running: the smallest, and each that gives at least 3 % more
// samples per second than those before it.
func (c Curve) useful() []int {
	var at []int
	best := 0.0
	for i, p := range c {
		if rate := float64(p.Size) / float64(p.Expected); i == 0 || rate >= best*worthwhile {
			at = append(at, i)
			best = rate
		}
	}
	return at
}

// Proportional is the curve's shape where a batch takes as long as its samples one by one, as on a CPU: a prior, whose
// scale the first measured run sets.
func Proportional(sizes []int) Curve {
	return shape(sizes, func(size int) float64 { return float64(size) })
}

// Overhead is the curve's shape where most of a small batch's time is spent on starting it, as on a GPU: a prior, whose
// scale the first measured run sets.
func Overhead(sizes []int) Curve {
	return shape(sizes, func(size int) float64 { return 1 + 0.1*float64(size) })
}

func shape(sizes []int, of func(size int) float64) Curve {
	c := make(Curve, len(sizes))
	for i, size := range sizes {
		d := time.Duration(of(size) * float64(time.Millisecond))
		c[i] = Point{Size: size, Expected: d, P99: d}
	}
	return c
}
