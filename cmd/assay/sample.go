package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// maxSample bounds the times that a sample keeps: 2 MiB. Of that many the quantiles are exact; of more, a p99 lies between
// the true p98.96 and p99.04, 19 times of 20.
const maxSample = 1 << 18

// sample keeps times of a run of any length for its quantiles: all of them as long as there is room, then each that ever came
// with the same chance (Vitter's algorithm R). The longest is always exact.
type sample struct {
	kept []time.Duration
	seen int64
	max  time.Duration
}

func (s *sample) add(d time.Duration) {
	s.seen++
	s.max = max(s.max, d)
	if len(s.kept) < maxSample {
		s.kept = append(s.kept, d)
	} else if i := rand.Int64N(s.seen); i < maxSample {
		s.kept[i] = d
	}
}

// quantile returns the smallest time that a share q of the kept ones does not exceed, in milliseconds. It sorts them.
func (s *sample) quantile(q float64) float64 {
	if len(s.kept) == 0 {
		return 0
	}
	slices.Sort(s.kept)
	i := int(q*float64(len(s.kept))+0.999999) - 1
	return float64(s.kept[min(max(i, 0), len(s.kept)-1)]) / float64(time.Millisecond)
}
