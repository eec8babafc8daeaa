package plan

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// When reality counts as away from the plan.
const (
	tolerance  = 0.20             // slower or faster by more than this
	driftAfter = 30 * time.Second // for so long
	smoothing  = 0.05             // weight of a run in the running mean
	worst      = 4                // one run counts at most as so many times too slow: a hiccup is no drift
	kept       = 256              // runs of each operating point from which p99 is read
)

// Watch holds a model's runs against its plan. It may be shared by goroutines.
type Watch struct {
	log   *slog.Logger
	gauge prometheus.Gauge

	mu      sync.Mutex
	plan    Plan
	ratio   float64 // running mean of time taken over time planned; 0: nothing was seen
	narrow  estimate
	wide    estimate
	differs bool      // ratio is on the other side of the tolerance than drifted says
	since   time.Time // when it began to differ
	drifted bool
}

// estimate is the running mean of one operating point's runs, and the last of them.
type estimate struct {
	mean float64 // s
	last [kept]time.Duration
	n    int
}

func (e *estimate) see(took time.Duration) {
	if e.n == 0 {
		e.mean = took.Seconds()
	}
	e.mean += smoothing * (took.Seconds() - e.mean)
	e.last[e.n%kept] = took
	e.n++
}

func (e *estimate) report() Estimate {
	if e.n == 0 {
		return Estimate{}
	}
	last := slices.Sorted(slices.Values(e.last[:min(e.n, kept)]))
	return Estimate{Mean: time.Duration(e.mean * float64(time.Second)), P99: percentile(last, 0.99), Runs: e.n}
}

// Estimate is what the runs of an operating point take now.
type Estimate struct {
	Runs int           // since the model was loaded
	Mean time.Duration // running mean
	P99  time.Duration // of the last 256 runs
}

// Reality is how a model's runs compare with its plan.
type Reality struct {
	Ratio   float64  // running mean of time taken over time planned, 1 where the plan is true; 0: nothing was run
	Drifted bool     // it has been off by more than a fifth for half a minute
	Narrow  Estimate // runs by one thread
	Wide    Estimate // runs by all threads
}

// NewWatch returns a watch over runs of a model with this plan. log should carry the model's name; gauge gets the ratio.
func NewWatch(p Plan, log *slog.Logger, gauge prometheus.Gauge) *Watch {
	gauge.Set(1)
	return &Watch{log: log, gauge: gauge, plan: p}
}

// See notes that one run of a batch took so long. Batches that were not measured are not compared.
func (w *Watch) See(wide bool, batch int, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if wide {
		w.wide.see(took)
	} else {
		w.narrow.see(took)
	}
	fast, slow, ok := w.planned(wide, batch)
	if !ok {
		return
	}
	r := 1.0
	switch {
	case took > slow:
		r = min(took.Seconds()/slow.Seconds(), worst)
	case took < fast:
		r = took.Seconds() / fast.Seconds()
	}
	if w.ratio == 0 {
		w.ratio = 1
	}
	w.ratio += smoothing * (r - w.ratio)
	w.gauge.Set(w.ratio)
	w.judge(time.Now())
}

// planned returns between which times a run is as planned: by one thread, that is from a run alone to one among others.
func (w *Watch) planned(wide bool, batch int) (fast, slow time.Duration, ok bool) {
	c := w.plan.Choice
	for _, p := range w.plan.Surface {
		if p.Variant != c.Throughput.Variant || p.Batch != batch || wide != (p.Threads > 1) {
			continue
		}
		if !ok {
			fast, slow, ok = p.Median, p.Median, true
		}
		fast, slow = min(fast, p.Median), max(slow, p.Median)
	}
	return fast, slow, ok
}

// judge changes its mind when the ratio was on the other side for long enough, and says so once.
func (w *Watch) judge(now time.Time) {
	away := math.Max(w.ratio, 1/w.ratio) > 1+tolerance
	if away == w.drifted {
		w.differs = false
		return
	}
	if !w.differs {
		w.differs, w.since = true, now
	}
	if now.Sub(w.since) < driftAfter {
		return
	}
	w.drifted, w.differs = away, false
	if away {
		w.log.Warn("model no longer runs as it was measured", "ratio", w.ratio, "measured", w.plan.Measured, "remedy", remedy)
	} else {
		w.log.Info("model runs as it was measured again", "ratio", w.ratio)
	}
}

const remedy = "look for other programs on the machine, or measure it again: assay models profile NAME --measure"

// Reality returns how the runs compare with the plan now.
func (w *Watch) Reality() Reality {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Reality{Ratio: w.ratio, Drifted: w.drifted, Narrow: w.narrow.report(), Wide: w.wide.report()}
}

// Warning says what a drift means, or "" where there is none.
func (r Reality) Warning() string {
	if !r.Drifted {
		return ""
	}
	return fmt.Sprintf("its runs take %.2f times what was measured: %s", r.Ratio, remedy)
}

// Replan holds the runs from now on against another plan.
func (w *Watch) Replan(p Plan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan, w.ratio, w.differs, w.drifted = p, 0, false, false
	w.gauge.Set(1)
}
