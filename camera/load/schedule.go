package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Arrival is one frame of a timetable.
type Arrival struct {
	At      time.Duration // from the start of the run
	Stream  int           // the stream that must send it; negative: any
	Picture int           // index into the pictures, taken round and round
	Budget  time.Duration // from when it is due to its verdict; 0: as the run says
}

// Schedule is a timetable, ascending by At.
type Schedule []Arrival

// Length returns when the last frame is due.
func (s Schedule) Length() time.Duration {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].At
}

// random returns the generator of a seed. The same seed gives the same timetable on every machine.
func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6c6f6164)) }

// Poisson returns the frames of length at rate frames a second, each due independently of all others.
func Poisson(rate float64, length time.Duration, seed uint64) (Schedule, error) {
	return Bursts(rate, 1, length, seed)
}

// Bursts returns the frames of length at rate frames a second that come size at once; the bursts are Poisson.
func Bursts(rate float64, size int, length time.Duration, seed uint64) (Schedule, error) {
	if !(rate > 0) || math.IsInf(rate, 0) || size < 1 || length <= 0 {
		return nil, fmt.Errorf("%w: a rate of %v frames/s in bursts of %d for %v: give a rate and a length above 0 and bursts of 1 or more", inspection.ErrInvalid, rate, size, length)
	}
	r := random(seed)
	mean := float64(size) / rate * float64(time.Second)
	var s Schedule
	for at := r.ExpFloat64() * mean; at < float64(length); at += r.ExpFloat64() * mean {
		for range size {
			s = append(s, Arrival{At: time.Duration(at), Stream: -1, Picture: len(s)})
		}
	}
	return s, nil
}

// Cameras returns the frames of length of so many cameras that each take perSecond pictures a second, every camera on a
// stream of its own. Together: all are triggered at the same time; else each has a phase of its own, drawn from seed.
func Cameras(cameras int, perSecond float64, together bool, length time.Duration, seed uint64) (Schedule, error) {
	if cameras < 1 || !(perSecond > 0) || math.IsInf(perSecond, 0) || length <= 0 {
		return nil, fmt.Errorf("%w: %d cameras at %v frames/s for %v: give one camera or more, and a rate and a length above 0", inspection.ErrInvalid, cameras, perSecond, length)
	}
	r := random(seed)
	period := float64(time.Second) / perSecond
	var s Schedule
	for c := range cameras {
		phase := 0.0
		if !together {
			phase = r.Float64() * period
		}
		for i := 0; ; i++ {
			at := time.Duration(phase + float64(i)*period)
			if at >= length {
				break
			}
			s = append(s, Arrival{At: at, Stream: c})
		}
	}
	slices.SortStableFunc(s, func(a, b Arrival) int { return int(a.At - b.At) })
	for i := range s {
		s[i].Picture = i
	}
	return s, nil
}

// Budgets gives a share of the frames, drawn from seed, the budget tight and all others loose.
func (s Schedule) Budgets(share float64, tight, loose time.Duration, seed uint64) {
	r := random(seed)
	for i := range s {
		s[i].Budget = loose
		if r.Float64() < share {
			s[i].Budget = tight
		}
	}
}
