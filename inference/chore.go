package inference

import (
	"context"
	"errors"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inspection"
)

// Background runs f on a worker as work of the lowest class, or with wide by a worker that then has all threads: a frame
// that comes meanwhile waits for this one f at most. It returns what f said when f has ended, plan.ErrBusy where wide is
// asked for and others work or wait, or what Do says where f was never begun.
func (b *Batcher) Background(ctx context.Context, wide bool, f func() error) error {
	c := &chore{batcher: b, wide: wide, work: f, done: make(chan struct{})}
	err := b.Do(ctx, chores{}, Order{Class: inspection.ClassBackground}, c)
	<-c.done // until then a worker may be at it
	if c.begun && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return c.err
	}
	return err
}

// widen gives a worker all threads where nobody needs them: nothing waits, and nobody else works.
func (b *Batcher) widen() bool { return !b.waiting() && b.threads.takeRest() }

// chore is work that is no sample. The worker does it where a sample would fill its slot.
type chore struct {
	batcher *Batcher
	wide    bool
	work    func() error
	begun   bool
	err     error
	done    chan struct{} // closed by Release
}

var errUnfinished = errors.New("it did not return")

// Fill implements Task.
func (c *chore) Fill(int, [][]byte) error {
	c.begun, c.err = true, errUnfinished // which a panic leaves
	if c.wide {
		if !c.batcher.widen() {
			c.err = plan.ErrBusy
			return c.err
		}
		defer c.batcher.threads.giveRest()
	}
	c.err = c.work()
	return c.err
}

// Read implements Task.
func (c *chore) Read([]decode.Output, int, time.Time, time.Time) error { return nil }

// Release implements Task.
func (c *chore) Release() { close(c.done) }

// chores is the session that all chores are queued for. It has no tensors and runs nothing.
type chores struct{}

var (
	_ Session = chores{}
	_ Batch   = chores{}
)

var choreSizes = []int{1}

func (chores) BatchSizes() []int             { return choreSizes }
func (chores) Lease(int) (Batch, error)      { return chores{}, nil }
func (chores) Device() string                { return CPU }
func (chores) Fallbacks() []string           { return nil }
func (chores) Close() error                  { return nil }
func (chores) Inputs() [][]byte              { return nil }
func (chores) Run() ([]decode.Output, error) { return nil, nil }
func (chores) Release()                      {}
