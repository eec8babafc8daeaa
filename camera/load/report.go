package load

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// LagLimit is the 99th percentile of the generator's own lag beyond which a run says nothing about the node.
const LagLimit = time.Millisecond

// Report sums up what became of the frames of a run. Latencies are of answered frames, from when they were due.
type Report struct {
	Frames   int // that were due
	Answered int
	Judged   int // by the model, whenever it came
	Wrong    int // judged, and not as expected
	Missing  int // neither answered nor held back
	Unsent   int // held back: no credit before their time was over
	Good     int // the right verdict within the budget

	P50, P99, P999, Max time.Duration
	LagP99, LagMax      time.Duration
	Length              time.Duration // until the last frame was due or answered, whichever is later
}

// NewReport sums up outcomes.
func NewReport(outcomes []Outcome) Report {
	r := Report{Frames: len(outcomes)}
	var latencies, lags []time.Duration
	for _, o := range outcomes {
		r.Length = max(r.Length, o.Due, o.At)
		lags = append(lags, o.Lag)
		switch {
		case o.Unsent:
			r.Unsent++
		case !o.Answered:
			r.Missing++
		default:
			r.Answered++
			latencies = append(latencies, o.Latency())
		}
		if o.Judged {
			r.Judged++
			if !o.Correct {
				r.Wrong++
			}
		}
		if o.Good() {
			r.Good++
		}
	}
	r.P50, r.P99, r.P999, r.Max = Quantile(latencies, 0.5), Quantile(latencies, 0.99), Quantile(latencies, 0.999), Quantile(latencies, 1)
	r.LagP99, r.LagMax = Quantile(lags, 0.99), Quantile(lags, 1)
	return r
}

// Goodput is the share of all frames that got the right verdict in time.
func (r Report) Goodput() float64 {
	if r.Frames == 0 {
		return 0
	}
	return float64(r.Good) / float64(r.Frames)
}

// Void says why the run is worth nothing, or "".
func (r Report) Void() string {
	switch {
	case r.Frames == 0:
		return "no frame was due"
	case r.LagP99 > LagLimit:
		return fmt.Sprintf("the generator was late: p99 %.2f ms, at most %.2f", Milliseconds(r.LagP99), Milliseconds(LagLimit))
	}
	return ""
}

// Throughput returns right answers a second between from and to, without the ends of a run.
func Throughput(outcomes []Outcome, from, to time.Duration) float64 {
	n := 0
	for _, o := range outcomes {
		if o.Correct && o.At >= from && o.At < to {
			n++
		}
	}
	return float64(n) / (to - from).Seconds()
}

// Quantile returns the smallest value that at least the share q of all values does not exceed; of none, 0.
func Quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// Milliseconds is a duration for people.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
