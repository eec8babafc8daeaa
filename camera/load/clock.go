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
}

// tick bounds one sleep of a thread that cannot be woken.
const tick = 20 * time.Millisecond

// precise sleeps on an operating system's thread of its own: Go's timers are as coarse as a millisecond where all else in
// the process is idle. The thread ends with its goroutine, because nobody else should have its priority.
type precise struct{}

func newPrecise() precise {
	runtime.LockOSThread()
	promote()
	return precise{}
}

// Promoted reports whether the generator's thread may have real-time priority here. Without it, its lag is larger on a
// machine that is busy.
func Promoted() bool {
	may := make(chan bool)
	go func() {
		runtime.LockOSThread()
		may <- promote()
	}()
	return <-may
}

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

func (timers) until(ctx context.Context, t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
