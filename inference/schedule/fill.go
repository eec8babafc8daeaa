package schedule

import (
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Source is where pictures come from: those of one source cost alike to decode and to fill in, a byte.
type Source struct {
	Recipe, View string
	Format       inspection.ImageFormat
	Tile         bool // a part of a picture that is decoded already
}

// fillRate predicts what it takes to decode a picture of one source and fill it in, from its bytes.
type fillRate struct {
	perByte float64 // nanoseconds
	seen    int     // pictures that were measured
	trust
}

// fillRates are those of the sources that were seen.
type fillRates map[Source]*fillRate

// mostSources bounds fillRates: cameras name their views.
const mostSources = 4096

// of returns a source's rate. It starts at what one core does: 100 MB of compressed picture a second, 1 GB of raw pixels. That
// counts as one picture that was measured, for the first ones of a process take many times as long as those that follow.
func (f fillRates) of(s Source, now time.Duration) *fillRate {
	r := f[s]
	if r == nil {
		if len(f) >= mostSources {
			clear(f)
		}
		r = &fillRate{perByte: 10}
		if s.Format == inspection.FormatRaw {
			r.perByte = 1
		}
		r.believe(0, now)
		f[s] = r
	}
	return r
}

func (r *fillRate) predict(bytes int) time.Duration { return time.Duration(r.perByte * float64(bytes)) }

func (r *fillRate) observe(bytes int, took, now time.Duration) {
	r.seen++
	expected := r.predict(bytes)
	measured := float64(took) / float64(bytes)
	if r.refuted(took, expected) {
		r.perByte = measured
	}
	measured = min(measured, outlier*max(r.perByte, 0.1))
	r.perByte += max(gain, 1/float64(r.seen+1)) * (measured - r.perByte)
	r.believe(r.predict(bytes), now)
}
