package benchmarks

import (
	"fmt"
	"math"
	"slices"
)

// drift is how far the raw figures before and after a run may lie apart, as a share of the smaller one.
const drift = 0.10

// pair is one served figure beside what was measured for comparison right before and after it.
type pair struct {
	figure        float64
	before, after float64
	fault         string // why it is void whatever the comparison says
}

// void says why a pair says nothing, or "".
func (p pair) void() string {
	smaller := min(p.before, p.after)
	switch {
	case p.fault != "":
		return p.fault
	case !(smaller > 0) || math.IsInf(max(p.before, p.after), 0):
		return "the comparison measured nothing"
	case math.Abs(p.before-p.after) > drift*smaller:
		return fmt.Sprintf("the comparison moved by %.1f %%", 100*math.Abs(p.before-p.after)/smaller)
	}
	return ""
}

// raw is what the figure is compared with.
func (p pair) raw() float64 { return (p.before + p.after) / 2 }

// spread is a median with the least and the largest value.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf returns the spread of values; of none, all NaN.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	v := slices.Clone(values)
	slices.Sort(v)
	middle := v[len(v)/2]
	if len(v)%2 == 0 {
		middle = (v[len(v)/2-1] + middle) / 2
	}
	return spread{middle, v[0], v[len(v)-1]}
}

// judged is what a list of pairs comes to.
type judged struct {
	figure spread // of the pairs that are not void
	raw    spread // of all
	valid  []float64
	voids  []string
}

// judge takes the pairs that are not void; of gives a pair's figure from its own and the comparison's.
func judge(pairs []pair, of func(figure, raw float64) float64) judged {
	var j judged
	var raws []float64
	for i, p := range pairs {
		raws = append(raws, p.raw())
		if why := p.void(); why != "" {
			j.voids = append(j.voids, fmt.Sprintf("pair %d of %d void (it said %.4g): %s", i+1, len(pairs), of(p.figure, p.raw()), why))
			continue
		}
		j.valid = append(j.valid, of(p.figure, p.raw()))
	}
	j.figure, j.raw = spreadOf(j.valid), spreadOf(raws)
	return j
}

// single is a figure of one run. Its fault says why it is void, or "".
func single(figure float64, fault string) judged {
	if fault != "" {
		return judged{figure: spreadOf(nil), voids: []string{fmt.Sprintf("void (it said %.4g): %s", figure, fault)}}
	}
	return judged{figure: spreadOf([]float64{figure}), valid: []float64{figure}}
}

// ratio is the figure over the comparison.
func ratio(figure, raw float64) float64 { return figure / raw }

// excess is how far the figure lies above the comparison.
func excess(figure, raw float64) float64 { return figure - raw }

// plain is the figure alone; the comparison only says whether the machine kept still.
func plain(figure, _ float64) float64 { return figure }

// slope returns the line a + b*x through points by least squares.
func slope(x, y []float64) (a, b float64) {
	n, sx, sy, sxx, sxy := float64(len(x)), 0.0, 0.0, 0.0, 0.0
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	b = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return (sy - b*sx) / n, b
}
