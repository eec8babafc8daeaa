package inference

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// gate bounds how many frames are under way in tiles, and with it the memory of decoded pictures that several workers share:
// so many of each class as there are workers. A frame that must wait holds its encoded bytes and nothing else. Classes do not
// wait for each other, for frames that somebody replays are slow beside a line.
type gate struct {
	slots   [int(inspection.ClassBackground) + 1]chan struct{}
	waiting atomic.Int64
	limit   int64
}

// newGate returns a gate for so many frames of each class under way, and so many that wait.
func newGate(underWay, waiting int) *gate {
	g := &gate{limit: int64(waiting)}
	for i := range g.slots {
		g.slots[i] = make(chan struct{}, underWay)
	}
	return g
}

func (g *gate) of(class inspection.Class) chan struct{} {
	return g.slots[min(int(class), len(g.slots)-1)]
}

// enter waits for its turn. latest says until when that makes sense, as Batcher.Latest does. The error wraps
// inspection.ErrOverloaded (too many wait), ErrDeadline or is ctx's; without one leave must be called.
func (g *gate) enter(ctx context.Context, class inspection.Class, latest func() (time.Time, bool)) error {
	select {
	case g.of(class) <- struct{}{}:
		return nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.limit {
		return fmt.Errorf("%w: %d frames wait already to be cut into tiles", inspection.ErrOverloaded, g.limit)
	}
	for {
		var late <-chan time.Time
		if last, ok := latest(); ok {
			left := time.Until(last)
			if left <= 0 {
				return errDropped
			}
			late = time.After(left)
		}
		select {
		case g.of(class) <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-late: // run times may have changed: ask again
		}
	}
}

// leave lets the next one in.
func (g *gate) leave(class inspection.Class) { <-g.of(class) }
