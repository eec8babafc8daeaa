package schedule

import (
	"time"

	"github.com/assay-vision/assay/inspection"
)

// fillRates predicts what it takes to decode a picture and fill it in, from its bytes.
type fillRates struct {
	perByte [int(inspection.FormatRaw) + 1]float64 // nanoseconds
	seen    [int(inspection.FormatRaw) + 1]int     // pictures that were measured
}

// newFillRates starts at what one core does: 100 MB of compressed picture a second, 1 GB of raw pixels. That counts as one
// picture that was measured, for the first ones of a process take many times as long as those that follow.
func newFillRates() fillRates {
	var f fillRates
	for i := range f.perByte {
		f.perByte[i] = 10
	}
	f.perByte[inspection.FormatRaw] = 1
	return f
}

func (f *fillRates) predict(format inspection.ImageFormat, bytes int) time.Duration {
	return time.Duration(f.perByte[min(int(format), len(f.perByte)-1)] * float64(bytes))
}

func (f *fillRates) observe(format inspection.ImageFormat, bytes int, took time.Duration) {
	if bytes <= 0 {
		return
	}
	i := min(int(format), len(f.perByte)-1)
	f.seen[i]++
	measured := min(float64(took)/float64(bytes), outlier*max(f.perByte[i], 0.1))
	f.perByte[i] += max(gain, 1/float64(f.seen[i]+1)) * (measured - f.perByte[i])
}
