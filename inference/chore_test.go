package inference

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inspection"
)

// wideSession is a fakeSession that all threads can run together.
type wideSession struct {
	fakeSession
	wideTakes time.Duration
	wideRuns  int
}

func (s *wideSession) Lease(size int) (Batch, error) {
	b, err := s.fakeSession.Lease(size)
	return &wideFakeBatch{b.(*fakeBatch), s}, err
}

type wideFakeBatch struct {
	*fakeBatch
	wide *wideSession
}

func (b *wideFakeBatch) RunWide() ([]decode.Output, error) {
	s := b.wide
	s.mu.Lock()
	s.wideRuns++
	others := s.outside
	s.mu.Unlock()
	if others > 0 {
		return nil, errors.New("a run by all threads began beside another")
	}
	narrow := s.takes
	s.takes = s.wideTakes
	defer func() { s.takes = narrow }()
	return b.Run()
}

func newWide(takes, wide time.Duration) *wideSession {
	return &wideSession{fakeSession: fakeSession{sizes: []int{1, 2, 4}, takes: takes, device: CPU}, wideTakes: wide}
}

const ms = time.Millisecond

func TestAFrameThatComesAloneGetsAllThreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 8})
		quiet(t, err)
		defer b.Close()
		s := newWide(20*ms, 11*ms)
		frame := func() time.Duration {
			start := time.Now()
			task := &fakeTask{number: 7, takes: 2 * ms}
			if err := task.check(b.Do(context.Background(), s, Order{}, task)); err != nil {
				t.Error(err)
			}
			return time.Since(start)
		}
		for range 3 {
			if got := frame(); got != 13*ms {
				t.Errorf("alone: took %v, want 13 ms, filled by one and run by all", got)
			}
			time.Sleep(ms)
		}
		if s.wideRuns != 3 {
			t.Errorf("got %d runs by all threads, want 3", s.wideRuns)
		}
		var both sync.WaitGroup
		for i := range 2 {
			both.Go(func() {
				time.Sleep(time.Duration(i) * ms) // while the first is filled
				if got := frame(); got != 22*ms {
					t.Errorf("two at a time: took %v, want 22 ms, one thread each", got)
				}
			})
		}
		both.Wait()
		if s.wideRuns != 3 {
			t.Errorf("a frame beside another was run by all threads")
		}
	})
}

func TestAFrameBesideOneThatWaitsGetsOneThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 8, MaxDelay: 100 * ms})
		quiet(t, err)
		defer b.Close()
		var waits sync.WaitGroup
		waits.Go(func() {
			ripening := &fakeSession{sizes: []int{1, 8}, takes: ms, device: "cuda:0"}
			if err := b.Do(context.Background(), ripening, Order{Class: inspection.ClassBulk}, &fakeTask{number: 1}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		s := newWide(20*ms, 11*ms)
		if err := b.Do(context.Background(), s, Order{}, &fakeTask{number: 2}); err != nil || s.wideRuns != 0 {
			t.Errorf("got %v and %d runs by all threads, want none while another sample waits", err, s.wideRuns)
		}
		waits.Wait()
	})
}

func TestUnderLoadEveryThreadHasItsOwnFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 100})
		quiet(t, err)
		defer b.Close()
		s := newWide(20*ms, 18*ms)
		start := time.Now()
		var frames sync.WaitGroup
		for range 50 {
			frames.Go(func() {
				if err := b.Do(context.Background(), s, Order{}, &fakeTask{number: 1}); err != nil {
					t.Error(err)
				}
			})
		}
		frames.Wait()
		if got := time.Since(start); got > 518*ms || s.wideRuns > 1 {
			t.Errorf("50 frames of 20 ms on two threads took %v with %d runs by all, want 518 ms and one at most: the first, if it came alone", got, s.wideRuns)
		}
	})
}

func TestAChoreSaysWhatItsWorkSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 8})
		quiet(t, err)
		for _, wide := range []bool{false, true} {
			ran := 0
			if err := b.Background(t.Context(), wide, func() error { ran++; return errBad }); !errors.Is(err, errBad) || ran != 1 {
				t.Errorf("wide %v: ran %d times and got %v, want once and its error", wide, ran, err)
			}
			if err := b.Background(t.Context(), wide, func() error { panic("oh") }); err == nil {
				t.Error("a panic was no error")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*ms)
			ended := false
			err := b.Background(ctx, wide, func() error { time.Sleep(20 * ms); ended = true; return nil })
			if err != nil || !ended {
				t.Errorf("wide %v: given up while it ran: got %v, ended %v; want its own end and no error", wide, err, ended)
			}
			cancel()
			if err := b.Background(ctx, wide, func() error { t.Error("ran"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("wide %v: given up before: got %v, want the context's error", wide, err)
			}
		}
		synctest.Wait()
		if b.threads.taken != 0 {
			t.Errorf("%d threads were not given back", b.threads.taken)
		}
		held := make(chan struct{})
		go func() { _ = b.Background(context.Background(), false, func() error { <-held; return nil }) }()
		synctest.Wait()
		if err := b.Background(t.Context(), true, func() error { t.Error("ran beside another"); return nil }); !errors.Is(err, plan.ErrBusy) {
			t.Errorf("beside another: got %v, want ErrBusy", err)
		}
		close(held)
		b.Close()
		if err := b.Background(t.Context(), false, func() error { return nil }); !errors.Is(err, inspection.ErrClosed) {
			t.Errorf("closed: got %v, want ErrClosed", err)
		}
	})
}

func TestAChoreWaitsForEveryFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 1, Queue: 8})
		quiet(t, err)
		defer b.Close()
		var all sync.WaitGroup
		var mu sync.Mutex
		var order []string
		at := func(after time.Duration, who string, do func() error) {
			all.Go(func() {
				time.Sleep(after)
				if err := do(); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, who)
			})
		}
		s := &fakeSession{sizes: []int{1}, takes: 10 * ms, device: CPU}
		frame := func() error { return b.Do(context.Background(), s, Order{}, &fakeTask{number: 1}) }
		at(0, "frame", frame)
		at(ms, "chore", func() error {
			return b.Background(context.Background(), false, func() error { time.Sleep(ms); return nil })
		})
		at(2*ms, "second frame", frame)
		all.Wait()
		if want := []string{"frame", "second frame", "chore"}; !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
	})
}

// A line runs while another model is measured: each of its frames waits for one measured run at most.
func TestMeasuringDisturbsALineByOneRunAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 100})
		quiet(t, err)
		defer b.Close()
		planner, err := plan.New(plan.Config{}, slog.New(slog.DiscardHandler))
		quiet(t, err)
		measured := newWide(30*ms, 16*ms)
		measured.sizes = []int{1, 2, 4}
		ctx, cancel := context.WithCancel(t.Context())
		var delays []time.Duration
		var line sync.WaitGroup
		line.Go(func() {
			s := &fakeSession{sizes: []int{1}, takes: 10 * ms, device: CPU}
			var frames sync.WaitGroup
			for i := 0; ctx.Err() == nil; i++ {
				var took time.Duration
				frames.Go(func() {
					start := time.Now()
					if err := b.Do(context.Background(), s, Order{Class: inspection.Class(i % 2)}, &fakeTask{number: 1}); err != nil {
						t.Error(err)
					}
					took = time.Since(start)
				})
				time.Sleep(time.Duration(17+i%29) * ms) // a period that meets every phase of a run
				frames.Wait()
				delays = append(delays, took-10*ms)
			}
		})
		p, err := planner.Measure(ctx, plan.Key{}, plan.Space{Variants: []string{"default"}, Cores: 2, Batches: measured.sizes, CPU: true}, bench{batcher: b, graphs: map[string]Session{"default": measured}})
		cancel()
		line.Wait()
		quiet(t, err)
		longest := time.Duration(0)
		for _, q := range p.Surface {
			longest = max(longest, q.Median)
		}
		if worst := slices.Max(delays); len(delays) < 20 || worst > longest || worst == 0 {
			t.Errorf("%d frames of the line waited up to %v, the longest measured run took %v: want one run at most, and some wait", len(delays), worst, longest)
		}
		if p.Choice.Throughput.Median != 30*ms || p.Choice.Throughput.Callers != 2 {
			t.Errorf("beside a line, one thread a run was measured as %+v, want 30 ms", p.Choice.Throughput)
		}
	})
}

// What a graph costs may depend on what it sees: it is measured on a picture of its golden set, in every place of a
// batch.
func TestAGraphIsMeasuredOnItsGoldenPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 8})
		quiet(t, err)
		defer b.Close()
		s := newWide(8*ms, 5*ms)
		x := bench{batcher: b, graphs: map[string]Session{"a": s}, picture: []goldenTensor{{inputs: [][]byte{{7, 0, 0, 0}}}}}
		for _, threads := range []int{1, 2} {
			if _, err := x.Run(t.Context(), plan.Setting{Variant: "a", Callers: 1, Threads: threads, Batch: 4}); err != nil {
				t.Fatal(err)
			}
			if got := s.ran[len(s.ran)-1]; !slices.Equal(got, []uint32{7, 7, 7, 7}) {
				t.Errorf("by %d threads it ran on %v", threads, got)
			}
		}
	})
}

// A chore holds a worker for as long as it lasts, and the queue must know that to plan the frames beside it.
func TestTheQueueLearnsHowLongChoresTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 1, Queue: 8})
		quiet(t, err)
		defer b.Close()
		for range 20 {
			quiet(t, b.Background(t.Context(), false, func() error { time.Sleep(80 * ms); return nil }))
		}
		if c, ok := b.Curve(chores{}); !ok || c[0].Expected != 80*ms {
			t.Errorf("got %v, %v; want that a chore takes 80 ms", c, ok)
		}
	})
}
