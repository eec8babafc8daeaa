package inference

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	st "github.com/assay-vision/assay/inference/schedule/scheduletest"
)

// stalling is a sleeper that for a while takes much longer for each sample: a machine that stood still, swapped or was
// shared.
type stalling struct {
	*sleeper
	from, until time.Time
	slow        time.Duration
}

func (s *stalling) Lease(size int) (Batch, error) { return stalled{s, size}, nil }

type stalled struct {
	*stalling
	size int
}

func (stalled) Inputs() [][]byte { return nil }
func (stalled) Release()         {}
func (s stalled) Run() ([]decode.Output, error) {
	takes := s.device.Takes(s.size)
	if now := time.Now(); now.After(s.from) && now.Before(s.until) {
		takes = time.Duration(s.size) * s.slow
	}
	time.Sleep(takes)
	return nil, nil
}

// While runs take longer than frames have, all are refused, and nobody runs who could show that the stall is over. So
// somebody tries now and then, and is believed: a second after it nearly all are in time again, however long it was.
func TestAStallIsForgottenWhenItIsOver(t *testing.T) {
	const begins, watched = 5 * time.Second, 20 * time.Second
	for _, c := range []struct {
		sizes       []int
		slow, lasts time.Duration
	}{
		{[]int{1, 2, 4, 8}, 60 * ms, 2 * time.Second}, {[]int{1, 2, 4, 8}, 100 * ms, 10 * time.Second},
		{[]int{1, 2, 4, 8}, 300 * ms, 10 * time.Second}, {[]int{1, 2, 4, 8}, 300 * ms, time.Minute}, {[]int{1}, 100 * ms, 10 * time.Second},
	} {
		device := st.CPU()
		device.Sizes = c.sizes
		over := begins + c.lasts
		trace := st.Poisson(rand.New(rand.NewPCG(1, 2)), 0.5*device.Capacity(), over+watched, 1, 50*ms)
		late, total := 0, 0
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			s := &stalling{sleeper: &sleeper{device: device, kind: CPU}, from: start.Add(begins), until: start.Add(over), slow: c.slow}
			play(t, s, device.Executors, curveOf(device), trace, func(a st.Arrival, inTime bool) {
				if a.At > over+time.Second {
					total++
					if !inTime {
						late++
					}
				}
			})
		})
		if total < 1000 || late > total/100 {
			t.Errorf("sizes %v, runs of %v for %v: %d of %d late from a second after it, want at most one of a hundred", c.sizes, c.slow, c.lasts, late, total)
		}
	}
}
