package custody

import (
	"sync"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// alarm rings once, or never.
type alarm struct {
	c     <-chan time.Time
	timer *time.Timer
	clock *sync.Pool // of timers that are stopped: each frame needs two, and a new one costs half a kB
}

func (d *Desk) alarmAt(t time.Time) alarm {
	if t.IsZero() {
		return alarm{}
	}
	timer, ok := d.timers.Get().(*time.Timer)
	if ok {
		timer.Reset(time.Until(t))
	} else {
		timer = time.NewTimer(time.Until(t))
	}
	return alarm{c: timer.C, timer: timer, clock: &d.timers}
}

// stop must be called once, when nobody listens any more.
func (a alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
		a.clock.Put(a.timer)
	}
}

// lastCall rings when the reply must leave: the deadline less the way out.
func (d *Desk) lastCall(job inspection.Job) alarm {
	if job.Deadline.IsZero() {
		return alarm{}
	}
	return d.alarmAt(job.Deadline.Add(-d.margin(job)))
}

// margin is the reply margin, but never more than a quarter of what is left: a short budget must leave time to judge.
func (d *Desk) margin(job inspection.Job) time.Duration {
	return min(d.cfg.ReplyMargin, max(0, time.Until(job.Deadline)/4))
}

// decideBy is when the desk stops waiting for the engine: the last call less the measured 70th percentile of a commit,
// but never so early that the engine has less than half of what is left. Zero means never. A larger reserve would give up
// more frames than it gets recorded: few are judged just then, and the median commit takes a tenth of the 99th percentile.
func (d *Desk) decideBy(job inspection.Job) time.Time {
	if job.Deadline.IsZero() {
		return time.Time{}
	}
	last := job.Deadline.Add(-d.margin(job))
	return last.Add(-min(d.reserve.p70(), max(0, time.Until(last)/2)))
}

// commitBy is until when the commit of a frame's answer may be put off: the last call less the measured 99th percentile of
// a commit that is not. Zero means that nobody waits.
func (d *Desk) commitBy(job inspection.Job) time.Time {
	if job.Deadline.IsZero() {
		return time.Time{}
	}
	return job.Deadline.Add(-d.margin(job) - d.reserve.p99())
}
