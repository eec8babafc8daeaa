package plan

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Setting is one way to run a model.
type Setting struct {
	Variant string `json:"variant"` // the graph, by its name in the manifest
	Threads int    `json:"threads"` // native threads of one run
	Callers int    `json:"callers"` // runs at the same time
	Batch   int    `json:"batch"`   // samples of one run
}

// Point is a setting and the time of one run of it.
type Point struct {
	Setting
	Median time.Duration `json:"median_ns"`
	P99    time.Duration `json:"p99_ns"` // with few runs: the longest
	Runs   int           `json:"runs"`   // that were timed
}

// Rate returns the samples per second of all callers together.
func (p Point) Rate() float64 {
	if p.Median <= 0 {
		return 0
	}
	return float64(p.Callers*p.Batch) / p.Median.Seconds()
}

// pointOf sums up the times of a setting's runs; there is at least one.
func pointOf(s Setting, times []time.Duration) Point {
	times = slices.Sorted(slices.Values(times))
	return Point{Setting: s, Median: times[len(times)/2], P99: percentile(times, 0.99), Runs: len(times)}
}

// percentile returns the smallest of sorted times that a share q of them does not exceed.
func percentile(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)]
}

// Surface is what was measured of a model, by variant, threads, callers and batch.
type Surface []Point

// find returns the point of a setting.
func (s Surface) find(want Setting) (Point, bool) {
	i := slices.IndexFunc(s, func(p Point) bool { return p.Setting == want })
	if i < 0 {
		return Point{}, false
	}
	return s[i], true
}

// sort orders the points for people; variants keep the manifest's order.
func (s Surface) sort(variants []string) {
	slices.SortFunc(s, func(a, b Point) int {
		return cmp.Or(
			cmp.Compare(slices.Index(variants, a.Variant), slices.Index(variants, b.Variant)),
			cmp.Compare(a.Threads, b.Threads), cmp.Compare(a.Callers, b.Callers), cmp.Compare(a.Batch, b.Batch),
		)
	})
}

// Space is what there is to measure.
type Space struct {
	Variants []string // the graphs; the first is what stays where none is faster
	Cores    int      // native threads that may run at the same time; at least 1
	Batches  []int    // sizes that the model can run, ascending
	// CPU: a run is computed by native threads of this machine, and may have more than one of them.
	CPU bool
}

// lanes returns the settings from which batches grow. More threads than cores is never one: it is slower whatever the
// model (measured: 1.6 to 2.2 times), and would break the bound on runnable threads while it is found out again.
func (s Space) lanes() []Setting {
	var out []Setting
	for _, v := range s.Variants {
		out = append(out, Setting{Variant: v, Threads: 1, Callers: 1})
		if s.Cores == 1 {
			continue
		}
		out = append(out, Setting{Variant: v, Threads: 1, Callers: s.Cores})
		if s.CPU {
			out = append(out, Setting{Variant: v, Threads: s.Cores, Callers: 1})
		}
	}
	return out
}
