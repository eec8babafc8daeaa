package raw

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/assay-vision/assay/inspection"
)

func bytesOf(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
}

// Setting is a way to call the runtime.
type Setting struct {
	Callers int  `json:"callers"`
	Threads int  `json:"threads"` // of each call
	Batch   int  `json:"batch"`
	Spin    bool `json:"spin"`
}

// String is short: callers x threads, batch.
func (s Setting) String() string {
	spin := ""
	if s.Spin {
		spin = " spinning"
	}
	return fmt.Sprintf("%dx%d b%d%s", s.Callers, s.Threads, s.Batch, spin)
}

// Figures are what a raw loop measured.
type Figures struct {
	Setting Setting       `json:"setting"`
	Rate    float64       `json:"frames_per_second"`
	P50     time.Duration `json:"p50_ns"` // of one call
	P99     time.Duration `json:"p99_ns"`
	CPU     time.Duration `json:"cpu_ns_per_frame"`
	Frames  int           `json:"frames"`
}

// Loop is a model that is ready to be run at one setting.
type Loop struct {
	setting Setting
	session *onnx.DynamicAdvancedSession
	lanes   []*lane
}

// Loop makes a loop ready. samples, each of SampleBytes, fill the inputs; they are taken round and round.
func (m *Model) Loop(s Setting, samples [][]byte) (*Loop, error) {
	if s.Callers < 1 || s.Threads < 1 || s.Batch < 1 || len(samples) == 0 {
		return nil, fmt.Errorf("%w: raw loop %+v on %d samples: give at least 1 of each", inspection.ErrInvalid, s, len(samples))
	}
	session, err := m.session(s.Threads, s.Spin)
	if err != nil {
		return nil, fmt.Errorf("raw session of %s: %w", m.Name, err)
	}
	l := &Loop{setting: s, session: session}
	for c := range s.Callers {
		lane, err := m.lane(session, s.Batch)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("raw tensors of %s: %w", m.Name, err), l.Close())
		}
		l.lanes = append(l.lanes, lane)
		for i := range s.Batch {
			n := len(lane.slab) / s.Batch
			copy(lane.slab[i*n:(i+1)*n], samples[(c*s.Batch+i)%len(samples)])
		}
	}
	return l, nil
}

// Run calls the runtime for length from all callers.
func (l *Loop) Run(ctx context.Context, length time.Duration) (Figures, error) {
	times := make([][]time.Duration, len(l.lanes))
	errs := make([]error, len(l.lanes))
	cpu, start := ownCPU(), time.Now()
	var work sync.WaitGroup
	for i, lane := range l.lanes {
		work.Go(func() {
			for from := start; from.Sub(start) < length && ctx.Err() == nil; {
				if errs[i] = lane.run(); errs[i] != nil {
					return
				}
				to := time.Now()
				times[i] = append(times[i], to.Sub(from))
				from = to
			}
		})
	}
	work.Wait()
	took, spent := time.Since(start), ownCPU()-cpu
	all := slices.Concat(times...)
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return Figures{}, err
	}
	n := len(all) * l.setting.Batch
	slices.Sort(all)
	return Figures{
		Setting: l.setting, Rate: float64(n) / took.Seconds(), Frames: n,
		P50: quantile(all, 0.5), P99: quantile(all, 0.99), CPU: spent / time.Duration(n),
	}, nil
}

// Paced calls the runtime once at each of the times, which count from now and ascend, and between them lets the machine
// rest: what a frame takes that comes alone. The loop must have one caller.
func (l *Loop) Paced(ctx context.Context, at []time.Duration) (Figures, error) {
	if len(l.lanes) != 1 || len(at) == 0 {
		return Figures{}, fmt.Errorf("%w: a paced loop of %d callers and %d frames: give one, and at least one", inspection.ErrInvalid, len(l.lanes), len(at))
	}
	var times []time.Duration
	cpu, start := ownCPU(), time.Now()
	for _, due := range at {
		time.Sleep(due - time.Since(start))
		from := time.Now()
		if err := errors.Join(ctx.Err(), l.lanes[0].run()); err != nil {
			return Figures{}, err
		}
		times = append(times, time.Since(from))
	}
	took, spent := time.Since(start), ownCPU()-cpu
	slices.Sort(times)
	return Figures{
		Setting: l.setting, Rate: float64(len(at)) / took.Seconds(), Frames: len(at),
		P50: quantile(times, 0.5), P99: quantile(times, 0.99), CPU: spent / time.Duration(len(at)),
	}, nil
}

// Drive calls the runtime from all callers, each with whatever next gives it, and tells done when that call has ended. next
// waits until there is a frame, and says that there will be none any more. Both are called by all callers at once.
func (l *Loop) Drive(ctx context.Context, next func() (frame int, ok bool), done func(frame int)) error {
	errs := make([]error, len(l.lanes))
	var work sync.WaitGroup
	for i, lane := range l.lanes {
		work.Go(func() {
			for ctx.Err() == nil {
				frame, ok := next()
				if !ok {
					return
				}
				if errs[i] = lane.run(); errs[i] != nil {
					return
				}
				done(frame)
			}
		})
	}
	work.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// Close frees the loop.
func (l *Loop) Close() error {
	for _, lane := range l.lanes {
		lane.close()
	}
	l.lanes = nil
	return l.session.Destroy()
}

// quantile reads sorted values.
func quantile(sorted []time.Duration, q float64) time.Duration {
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// ownCPU is what this process has used of all cores.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Settings are those that a sweep tries: a core for each frame, all cores for one, each alone and in batches, and one
// frame at a time.
func Settings() []Setting {
	cores := runtime.NumCPU()
	out := []Setting{{Callers: 1, Threads: 1, Batch: 1}}
	if cores == 1 {
		return append(out, Setting{Callers: 1, Threads: 1, Batch: 4})
	}
	return append(out,
		Setting{Callers: cores, Threads: 1, Batch: 1}, Setting{Callers: cores, Threads: 1, Batch: 4},
		Setting{Callers: 1, Threads: cores, Batch: 1, Spin: true}, Setting{Callers: 1, Threads: cores, Batch: 1},
		Setting{Callers: 1, Threads: cores, Batch: 8, Spin: true},
	)
}

// Sweep measures every setting for each, twice in turn, and keeps the better one: what disturbs the machine for a moment
// must not choose the setting.
func (m *Model) Sweep(ctx context.Context, samples [][]byte, each time.Duration) ([]Figures, error) {
	var best []Figures
	for round := range 2 {
		for i, s := range Settings() {
			f, err := m.try(ctx, s, samples, each)
			switch {
			case err != nil:
				return nil, err
			case round == 0:
				best = append(best, f)
			case f.Rate > best[i].Rate:
				best[i] = f
			}
		}
	}
	return best, nil
}

// try measures one setting.
func (m *Model) try(ctx context.Context, s Setting, samples [][]byte, length time.Duration) (f Figures, err error) {
	l, err := m.Loop(s, samples)
	if err != nil {
		return Figures{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if _, err := l.Run(ctx, length/4); err != nil { // warm
		return Figures{}, err
	}
	return l.Run(ctx, length)
}

// Fastest returns the setting with most frames a second.
func Fastest(all []Figures) Setting {
	return slices.MaxFunc(all, func(a, b Figures) int { return compare(a.Rate, b.Rate) }).Setting
}

// Quickest returns the setting with one caller and one frame a call that is done first.
func Quickest(all []Figures) Setting {
	return slices.MinFunc(all, func(a, b Figures) int {
		return compare(latency(a), latency(b))
	}).Setting
}

func latency(f Figures) float64 {
	if f.Setting.Callers != 1 || f.Setting.Batch != 1 {
		return math.Inf(1)
	}
	return float64(f.P50)
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
