package inference

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/schedule"
	st "github.com/assay-vision/assay/inference/schedule/scheduletest"
)

// sleeper is a device that takes its time and does nothing.
type sleeper struct {
	device st.Device
	kind   string
}

func (s *sleeper) BatchSizes() []int             { return s.device.Sizes }
func (s *sleeper) Device() string                { return s.kind }
func (s *sleeper) Fallbacks() []string           { return nil }
func (s *sleeper) Close() error                  { return nil }
func (s *sleeper) Lease(size int) (Batch, error) { return sleep{s, size}, nil }

type sleep struct {
	*sleeper
	size int
}

func (sleep) Inputs() [][]byte { return nil }
func (sleep) Release()         {}
func (s sleep) Run() ([]decode.Output, error) {
	time.Sleep(s.device.Takes(s.size))
	return nil, nil
}

type noTask struct{}

func (noTask) Fill(int, [][]byte) error                              { return nil }
func (noTask) Read([]decode.Output, int, time.Time, time.Time) error { return nil }
func (noTask) Release()                                              {}

func curveOf(d st.Device) (c schedule.Curve) {
	for _, size := range d.Sizes {
		c = append(c, schedule.Point{Size: size, Expected: d.Takes(size), P99: d.Takes(size)})
	}
	return c
}

// serve sends a trace through a real batcher in virtual time. Without a curve the batcher learns by itself.
func serve(t *testing.T, d st.Device, curve schedule.Curve, trace []st.Arrival) (res st.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		play(t, &sleeper{device: d, kind: d.Name}, d.Executors, curve, trace, res.Add)
	})
	return res
}

// play is serve in a bubble, with any session; note is told of each arrival whether it was in time, one after another.
func play(t *testing.T, s Session, workers int, curve schedule.Curve, trace []st.Arrival, note func(a st.Arrival, inTime bool)) {
	t.Helper()
	b, err := startBatcher(BatcherConfig{Workers: workers, Queue: 1024})
	quiet(t, err)
	if curve != nil {
		quiet(t, b.SetCurve(s, curve))
	}
	start := time.Now()
	var mu sync.Mutex
	var callers sync.WaitGroup
	for _, a := range trace {
		time.Sleep(a.At - time.Since(start))
		callers.Go(func() {
			due := start.Add(a.Due())
			err := b.Do(context.Background(), s, Order{Deadline: due}, noTask{})
			now := time.Now()
			mu.Lock()
			defer mu.Unlock()
			note(a, err == nil && !now.After(due))
			if err != nil && now.After(due) {
				t.Errorf("a sample due at %v was given up at %v: that is no answer in time", a.Due(), now.Sub(start))
			}
		})
	}
	callers.Wait()
	b.Close()
}

// slower is by how many times everything here is slower than the devices that were measured, so that many simulated
// seconds cost few events.
const slower = 10

const tight, deadline, loose = slower * 25 * ms, slower * 50 * ms, slower * 150 * ms

// scenario is one device at one load, and what is asked of the batcher there.
type scenario struct {
	device st.Device
	load   float64
	burst  int
	mixed  bool
	lasts  time.Duration
	floor  float64 // of the ideal goodput; with mixed of the best simulated one
	tight  float64 // share of the tight ones in time; 0: not asked
}

func scenarios() (all []scenario) {
	cpu, gpu := st.CPU().Slowed(slower), st.GPU().Slowed(slower)
	const long, short = 850 * time.Second, 260 * time.Second
	for _, p := range []struct{ load, cpu, gpu float64 }{
		{0.8, 0.99, 0.99}, {0.9, 0.95, 0.99}, {1.0, 0.95, 0.93}, {1.25, 0.97, 0.97}, {1.5, 0.98, 0.97}, {2.0, 0.98, 0.98},
	} {
		all = append(all,
			scenario{device: cpu, load: p.load, burst: 1, lasts: long, floor: p.cpu},
			scenario{device: gpu, load: p.load, burst: 1, lasts: short, floor: p.gpu})
	}
	for _, burst := range []int{1, 6} {
		all = append(all,
			scenario{device: cpu, load: 0.9, burst: burst, mixed: true, lasts: long, floor: 0.98, tight: 0.95},
			scenario{device: cpu, load: 1.1, burst: burst, mixed: true, lasts: long, floor: 0.98},
			// On the accelerator a batch that is worth its overhead lasts nearly as long as the tight ones have.
			scenario{device: gpu, load: 0.9, burst: burst, mixed: true, lasts: short, floor: 0.98, tight: 0.7},
			scenario{device: gpu, load: 1.1, burst: burst, mixed: true, lasts: short, floor: 0.98})
	}
	return all
}

func (s scenario) trace() []st.Arrival {
	rng := rand.New(rand.NewPCG(7, uint64(s.load*100)))
	trace := st.Poisson(rng, s.load*s.device.Capacity(), s.lasts, s.burst, deadline)
	if s.mixed {
		trace = st.Mix(rng, trace, 0.3, tight, loose)
	}
	return trace
}

// The same batcher that a node runs is held against the usual ways of serving, each with the batch limit that suits it best
// on this very trace, and against what nothing can exceed. Time is virtual: the figures do not depend on the machine.
func TestGoodputUnderDeadlines(t *testing.T) {
	var simulated time.Duration
	for _, s := range scenarios() {
		trace := s.trace()
		simulated += s.lasts
		name := fmt.Sprintf("%s load %.2f bursts of %d", s.device.Name, s.load, s.burst)
		ours := serve(t, s.device, curveOf(s.device), trace)
		if ours.All != len(trace) {
			t.Fatalf("%s: %d samples were answered, want %d", name, ours.All, len(trace))
		}
		if s.mixed {
			s.checkMixed(t, name, ours, trace)
		} else {
			s.checkUniform(t, name, ours, trace)
		}
	}
	t.Logf("%v simulated", simulated)
	if simulated < 10_000*time.Second {
		t.Errorf("got %v simulated, want 10,000 s", simulated)
	}
}

func (s scenario) checkUniform(t *testing.T, name string, ours st.Result, trace []st.Arrival) {
	ideal := st.Ideal(s.load)
	share := func(r st.Result) float64 { return r.Goodput() / ideal }
	fifo, _ := st.Best(s.device, st.FIFO, trace)
	reject, _ := st.Best(s.device, st.FIFOReject, trace)
	timeout, _ := st.Best(s.device, st.Timeout, trace)
	edf, _ := st.Best(s.device, st.EDF, trace)
	drop, _ := st.Best(s.device, st.EarlyDrop, trace)
	t.Logf("%-28s of ideal: ours %.3f | FIFO %.3f, reject %.3f, tuned timeout %.3f, naive EDF %.3f, EDF+drop %.3f | n %d",
		name, share(ours), share(fifo), share(reject), share(timeout), share(edf), share(drop), ours.All)
	if share(ours) < s.floor {
		t.Errorf("%s: got %.3f of the ideal goodput, want %.3f", name, share(ours), s.floor)
	}
	for what, r := range map[string]st.Result{"FIFO": fifo, "FIFO that rejects": reject, "a tuned timeout": timeout, "EDF": edf, "EDF that drops": drop} {
		if ours.Goodput() < 0.97*r.Goodput() {
			t.Errorf("%s: got goodput %.3f, %s has %.3f", name, ours.Goodput(), what, r.Goodput())
		}
	}
	if s.device.Executors == 1 && s.load == 0.9 && (share(edf) > 0.5 || share(ours) < 0.95) {
		t.Errorf("%s: naive EDF has %.3f, ours %.3f: want the trap to be one, and us outside of it", name, share(edf), share(ours))
	}
}

func (s scenario) checkMixed(t *testing.T, name string, ours st.Result, trace []st.Arrival) {
	var best float64
	text := ""
	for _, p := range []struct {
		name   string
		policy st.Policy
	}{{"FIFO", st.FIFO}, {"reject", st.FIFOReject}, {"priorities", st.Priorities}, {"naive EDF", st.EDF}, {"EDF+drop", st.EarlyDrop}} {
		r, _ := st.Best(s.device, p.policy, trace)
		text += fmt.Sprintf(" %s %.3f (%.3f)", p.name, r.Goodput(), r.Tight())
		best = max(best, r.Goodput())
	}
	t.Logf("%-28s mixed, all (tight): ours %.3f (%.3f) |%s | n %d", name, ours.Goodput(), ours.Tight(), text, ours.All)
	if ours.Goodput() < s.floor*best {
		t.Errorf("%s: got goodput %.3f, want %.2f of the best simulated, %.3f", name, ours.Goodput(), s.floor, best)
	}
	if ours.Tight() < s.tight {
		t.Errorf("%s: got %.3f of the tight ones in time, want %.3f", name, ours.Tight(), s.tight)
	}
}

// varying is a device whose runs take longer and shorter than they should, as on a machine that has other guests.
type varying struct {
	*sleeper
	mu  sync.Mutex
	rng *rand.Rand
}

func (v *varying) Lease(size int) (Batch, error) { return vary{sleep{v.sleeper, size}, v}, nil }

type vary struct {
	sleep
	of *varying
}

func (v vary) Run() ([]decode.Output, error) {
	const sigma = 0.25 // of the logarithm; the mean stays
	v.of.mu.Lock()
	factor := math.Exp(sigma*v.of.rng.NormFloat64() - sigma*sigma/2)
	v.of.mu.Unlock()
	time.Sleep(time.Duration(factor * float64(v.device.Takes(v.size))))
	return nil, nil
}

// Where it cannot be foretold what a run takes, who has little time must still be tried while others can wait, and must not be the
// first to be given up when somebody must be.
func TestGoodputWhereRunsVary(t *testing.T) {
	d := st.Device{Name: "varying", Executors: 2, Sizes: []int{1}, Takes: func(size int) time.Duration { return slower * 118 * ms / 10 * time.Duration(size) }}
	curve := schedule.Curve{{Size: 1, Expected: d.Takes(1), P99: d.Takes(1) * 3 / 2}}
	for _, c := range []struct{ load, all, tight float64 }{{0.7, 0.96, 0.88}, {0.9, 0.935, 0.79}, {1.1, 0.85, 0.68}, {1.5, 0.64, 0.57}} {
		rng := rand.New(rand.NewPCG(7, uint64(c.load*100)))
		trace := st.Mix(rng, st.Poisson(rng, c.load*d.Capacity(), 400*time.Second, 1, 0), 0.3, slower*21*ms, slower*146*ms)
		var r st.Result
		synctest.Test(t, func(t *testing.T) {
			play(t, &varying{sleeper: &sleeper{device: d, kind: d.Name}, rng: rand.New(rand.NewPCG(1, 2))}, d.Executors, curve, trace, r.Add)
		})
		t.Logf("load %.1f, all (tight): %.3f (%.3f) | n %d", c.load, r.Goodput(), r.Tight(), r.All)
		if r.Goodput() < c.all || r.Tight() < c.tight {
			t.Errorf("load %.1f: got %.3f of all and %.3f of the tight ones in time, want %.3f and %.3f", c.load, r.Goodput(), r.Tight(), c.all, c.tight)
		}
	}
}

// A node whose planner is not done yet, or that has none, learns run times from the runs.
func TestGoodputWhileLearning(t *testing.T) {
	for _, d := range []st.Device{st.CPU().Slowed(slower), st.GPU().Slowed(slower)} {
		for _, load := range []float64{0.8, 1.25} {
			s := scenario{device: d, load: load, burst: 1, lasts: 100 * time.Second}
			r := serve(t, d, nil, s.trace())
			t.Logf("%s load %.2f, nothing known: %.3f of ideal", d.Name, load, r.Goodput()/st.Ideal(load))
			if got := r.Goodput() / st.Ideal(load); got < 0.9 {
				t.Errorf("%s load %.2f: got %.3f of the ideal goodput, want 0.9", d.Name, load, got)
			}
		}
	}
}
