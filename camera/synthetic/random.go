package synthetic

import (
	"math/bits"
	"math/rand/v2"
)

// Streams keep the uses of one seed apart, so that a change in one leaves the others' numbers alone.
const (
	streamLayout uint64 = 0x6c61796f7574 + iota
	streamTemplateNoise
	streamBoard
	streamBoardNoise
	streamSet
)

// random draws integers from PCG. It maps them itself because only the generator's sequence, and not how rand.Rand maps it to a
// range, is fixed for all Go versions.
type random struct{ pcg *rand.PCG }

func newRandom(seed, stream uint64) random { return random{rand.NewPCG(seed, stream)} }

// below is uniform in [0, n); n must be positive.
func (r random) below(n int) int {
	hi, _ := bits.Mul64(r.pcg.Uint64(), uint64(n))
	return int(hi)
}

// between is uniform in [lo, hi]; the bounds may come in either order.
func (r random) between(lo, hi int) int {
	if hi < lo {
		lo, hi = hi, lo
	}
	return lo + r.below(hi-lo+1)
}

// px is uniform between lo and hi pixels, in sixteenths.
func (r random) px(lo, hi int) int { return r.between(lo*unit, hi*unit) }

func (r random) chance(percent int) bool { return r.below(100) < percent }

// mix hashes a cell's place to 64 even bits: the noise of a pixel must not depend on the order in which pixels are visited.
func mix(seed uint64, x, y int) uint64 {
	z := seed ^ uint64(uint32(x))<<32 ^ uint64(uint32(y))
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
