package schedule

import (
	"math"
	"slices"
	"time"
)

const (
	// gain is the weight of one measured run in the moving averages.
	gain = 1.0 / 16
	// outlier is by how many times one run may exceed what was expected and still count in full: a stall of the whole
	// machine says little of the next run.
	outlier = 4.0
	// recent is of how many runs the 99th percentile is taken, and enough how many there must be to believe it.
	recent = 256
	enough = 64
	// stale and retried bound for how long a measurement is believed that nobody confirms: at least stale, and for so many
	// times what it says.
	stale   = 250 * time.Millisecond
	retried = 4
)

// trust is whether a prediction may refuse anybody. One that is too long by a fault, or that was true while the machine
// stood still, would refuse all and never be corrected; so it is believed for a while only. Then somebody tries, and where
// it had been in the way what that one takes is the truth.
type trust struct {
	until   time.Duration // believed until then
	doubted bool          // somebody was let pass since whom it would have refused
}

func (b *trust) believed(now time.Duration) bool { return now <= b.until }

// believe holds for true what was just confirmed and says so long.
func (b *trust) believe(says, now time.Duration) { b.until = now + max(stale, retried*says) }

// refuted reports whether what was measured takes the place of what was expected: where that had been doubted and is longer.
func (b *trust) refuted(took, expected time.Duration) bool {
	doubted := b.doubted
	b.doubted = false
	return doubted && took < expected
}

// estimate is what is known of one session's run times: a curve, and by how much measured runs differ from it.
type estimate struct {
	curve  Curve
	guess  bool          // the curve is a shape: until a run was measured nothing is known of its scale
	runs   int           // measured runs
	drift  float64       // moving average of measured / curve over all sizes
	drifts []float64     // the same of each size; 0 where none was measured
	ratios []float64     // measured / expected of the last runs, a ring
	spread float64       // p99 / expected
	likely float64       // p90 / expected
	alone  time.Duration // moving average of one sample run by all threads; 0 where that is unknown
	trust

	now    Curve // the curve as corrected, kept so that a decision costs no arithmetic
	useful []int // see Curve.useful, of now
}

func newEstimate(c Curve, guess bool, now time.Duration) *estimate {
	e := &estimate{curve: slices.Clone(c), guess: guess, drift: 1, drifts: make([]float64, len(c)), spread: 1, likely: 1}
	for _, p := range c {
		e.spread = max(e.spread, float64(p.P99)/float64(p.Expected))
	}
	e.likely = (1 + e.spread) / 2 // until runs were measured
	e.correct()
	e.believe(e.now[0].Expected, now)
	return e
}

// known reports whether the estimate may refuse anybody: somebody measured it, and it is believed.
func (e *estimate) known(now time.Duration) bool { return !e.guess && e.believed(now) }

// begin notes that a batch begins that should take so long: while it runs, nobody can confirm what is expected.
func (e *estimate) begin(takes, now time.Duration) { e.until = max(e.until, now+retried*takes) }

// observe corrects the estimate by a measured run.
func (e *estimate) observe(size int, took, now time.Duration) {
	i := slices.IndexFunc(e.curve, func(p Point) bool { return p.Size == size })
	if i < 0 {
		return
	}
	took = max(took, time.Microsecond)
	e.ratio(float64(took)/float64(e.now[i].Expected), e.guess)
	if e.refuted(took, e.now[i].Expected) {
		e.rescale(float64(took) / float64(e.now[i].Expected))
	}
	ratio := float64(took) / float64(e.curve[i].Expected)
	if e.guess {
		e.guess, e.drift = false, ratio
	} else {
		ratio = min(ratio, outlier*float64(e.now[i].Expected)/float64(e.curve[i].Expected))
		e.drift += gain * (ratio - e.drift)
	}
	if e.drifts[i] == 0 {
		e.drifts[i] = ratio
	} else {
		e.drifts[i] += gain * (ratio - e.drifts[i])
	}
	e.correct()
	e.believe(e.now[0].Expected, now)
}

// rescale brings what is expected of all sizes down by a factor.
func (e *estimate) rescale(by float64) {
	e.drift *= by
	for i := range e.drifts {
		e.drifts[i] *= by
	}
	e.alone = time.Duration(by * float64(e.alone))
	e.correct()
}

// ratio notes how far one run was from what was expected.
func (e *estimate) ratio(r float64, first bool) {
	if first {
		return // it is measured against a guess
	}
	if len(e.ratios) < recent {
		e.ratios = append(e.ratios, r)
	} else {
		e.ratios[e.runs%recent] = r
	}
	e.runs++
	if e.runs < enough {
		e.spread = max(e.spread, min(r, outlier))
	}
	if e.runs%16 == 0 {
		sorted := slices.Sorted(slices.Values(e.ratios))
		e.likely = quantile(sorted, 0.9)
		if e.runs >= enough {
			e.spread = quantile(sorted, 0.99)
		}
	}
}

// quantile reads ratios in order; never less than what was expected.
func quantile(sorted []float64, q float64) float64 {
	return max(1, sorted[int(math.Ceil(q*float64(len(sorted))))-1])
}

// observeAlone notes how long a sample took that had all threads.
func (e *estimate) observeAlone(took, now time.Duration) {
	took = max(took, time.Microsecond)
	if e.alone == 0 {
		e.alone = took
	}
	if e.refuted(took, e.alone) {
		e.rescale(float64(took) / float64(e.alone))
	}
	e.alone += time.Duration(gain * float64(min(took, outlier*e.alone)-e.alone))
	e.believe(e.now[0].Expected, now)
}

// least returns the least time in which a sample is run.
func (e *estimate) least() time.Duration {
	if e.alone > 0 {
		return min(e.alone, e.now[0].Expected)
	}
	return e.now[0].Expected
}

// fastest returns the nanoseconds that a sample takes at least where many run on so many executors.
func (e *estimate) fastest(executors int) float64 {
	best := float64(e.least())
	for _, p := range e.now {
		best = min(best, float64(p.Expected)/float64(p.Size*executors))
	}
	return best
}

// correct makes the curve as it is now.
func (e *estimate) correct() {
	if e.now == nil {
		e.now = slices.Clone(e.curve)
	}
	for i, p := range e.curve {
		drift := e.drifts[i]
		if drift == 0 {
			drift = e.drift
		}
		expected := max(float64(p.Expected)*drift, float64(time.Microsecond))
		e.now[i].Expected, e.now[i].P99 = time.Duration(expected), time.Duration(expected*e.spread)
	}
	e.useful = e.now.useful()
}

// quickens reports whether a batch of the size at a place of the curve lets n samples end sooner on average than if they
// went one by one: its members all end last, those behind them sooner. That takes a small overhead or a long queue.
func (e *estimate) quickens(i, n int) bool {
	k, alone := float64(e.now[i].Size)/float64(e.now[0].Size), float64(e.now[0].Expected)
	behind := max(float64(n)/float64(e.now[0].Size), k)
	return i == 0 || behind*float64(e.now[i].Expected) <= alone*k*(2*behind-k+1)/2
}
