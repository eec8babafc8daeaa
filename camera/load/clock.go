package load

import (
	"context"
	"runtime"
	"time"
)

// sleeper waits until a time. It is used by one goroutine.
type sleeper interface {
	// until returns at t, or a little later, or when ctx has ended; it may notice the latter late, but within a tick.
	until(ctx context.Context, t time.Time)
	close()
}

// tick bounds one sleep of a thread that cannot be woken.
const tick = 20 * time.Millisecond

// precise sleeps on an operating system's thread of its own: Go's timers are as coarse as a millisecond where all else in
// the process is idle.
type precise struct{}

func newPrecise() precise {
	runtime.LockOSThread()
	return precise{}
}

func (precise) close() { runtime.UnlockOSThread() }

func (precise) until(ctx context.Context, t time.Time) {
	for ctx.Err() == nil {
		left := time.Until(t)
		if left <= 0 {
			return
		}
		nap(min(left, tick))
	}
}

// timers sleeps by Go's timers, which testing/synctest can turn.
type timers struct{}

func (timers) close() {}

func (timers) until(ctx context.Context, t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
