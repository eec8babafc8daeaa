package scheduletest

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Device is so many executors, each of which runs a batch of a warmed size in a fixed time.
type Device struct {
	Name      string
	Executors int
	Sizes     []int
	Takes     func(size int) time.Duration
}

// CPU is two cores running a model of about 4 ms, as measured on one.
func CPU() Device {
	takes := map[int]time.Duration{1: 4100 * time.Microsecond, 2: 7800 * time.Microsecond, 4: 15 * time.Millisecond, 8: 31 * time.Millisecond}
	return Device{Name: "cpu", Executors: 2, Sizes: []int{1, 2, 4, 8}, Takes: func(size int) time.Duration { return takes[size] }}
}

// GPU is one accelerator that needs 5 ms for a batch and 0.5 ms for each sample of it.
func GPU() Device {
	return Device{Name: "gpu", Executors: 1, Sizes: []int{1, 2, 4, 8, 16, 32}, Takes: func(size int) time.Duration {
		return 5*time.Millisecond + time.Duration(size)*500*time.Microsecond
	}}
}

// Slowed is the device with everything so many times slower: the same problem with fewer events a second.
func (d Device) Slowed(times int) Device {
	takes := d.Takes
	d.Takes = func(size int) time.Duration { return time.Duration(times) * takes(size) }
	return d
}

// Capacity returns the most samples a second that the device can serve.
func (d Device) Capacity() float64 {
	best := 0.0
	for _, size := range d.Sizes {
		best = max(best, float64(size*d.Executors)/d.Takes(size).Seconds())
	}
	return best
}

// Ideal returns the goodput that nothing can exceed at a load.
func Ideal(load float64) float64 { return min(1, 1/load) }

// Arrival is one sample: when it comes after the start, and how long it has from then.
type Arrival struct {
	At     time.Duration
	Budget time.Duration
	Tight  bool
}

// Due is when an arrival's answer must be there.
func (a Arrival) Due() time.Duration { return a.At + a.Budget }

// Poisson draws arrivals at a rate (1/s) for a time, in groups of burst at the same moment; every budget is the same.
func Poisson(rng *rand.Rand, rate float64, lasts time.Duration, burst int, budget time.Duration) []Arrival {
	var out []Arrival
	for at := 0.0; ; {
		at += rng.ExpFloat64() * float64(burst) / rate
		if at >= lasts.Seconds() {
			return out
		}
		for range burst {
			out = append(out, Arrival{At: time.Duration(math.Round(at * 1e9)), Budget: budget})
		}
	}
}

// Mix gives a share of the arrivals a tight budget and the others a loose one.
func Mix(rng *rand.Rand, trace []Arrival, share float64, tight, loose time.Duration) []Arrival {
	out := slices.Clone(trace)
	for i := range out {
		out[i].Tight = rng.Float64() < share
		out[i].Budget = loose
		if out[i].Tight {
			out[i].Budget = tight
		}
	}
	return out
}

// Result counts the arrivals of a trace and those that were answered in time.
type Result struct {
	All, Good           int
	TightAll, TightGood int
}

// Add counts one arrival.
func (r *Result) Add(a Arrival, inTime bool) {
	r.All++
	if a.Tight {
		r.TightAll++
	}
	r.settle(a, inTime)
}

func (r *Result) settle(a Arrival, inTime bool) {
	if !inTime {
		return
	}
	r.Good++
	if a.Tight {
		r.TightGood++
	}
}

// Goodput is the share in time.
func (r Result) Goodput() float64 { return float64(r.Good) / float64(max(1, r.All)) }

// Tight is the share in time of those with a tight budget.
func (r Result) Tight() float64 { return float64(r.TightGood) / float64(max(1, r.TightAll)) }
