package inference

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inference/schedule"
	"github.com/assay-vision/assay/inspection"
)

func startBatcher(c BatcherConfig) (*Batcher, error) {
	return newBatcher(c, slog.New(slog.DiscardHandler), newMetrics(prometheus.NewRegistry()))
}

// history is one drawn history: who comes when, and what befalls them.
type history struct {
	config  BatcherConfig
	sizes   []int
	takes   time.Duration
	callers []caller
	closeAt time.Duration // 0: after all have come
}

type caller struct {
	at       time.Duration
	class    inspection.Class
	session  int
	deadline time.Duration // after at; 0: none
	cancel   time.Duration // after at; 0: never
	fill     time.Duration
	fate     string
}

var fates = []string{"good", "good", "good", "good", "refused", "bad", "exploding", "panicking"}

func drawHistory(t *rapid.T) history {
	ms := func(name string, from, to int) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Millisecond
	}
	p := history{
		config: BatcherConfig{Workers: rapid.IntRange(1, 4).Draw(t, "workers"), Queue: rapid.IntRange(1, 40).Draw(t, "queue"), MaxDelay: rapid.SampledFrom([]time.Duration{0, 3 * time.Millisecond}).Draw(t, "delay")},
		sizes:  rapid.SampledFrom([][]int{{1}, {1, 2, 4, 8}, {4}, {2, 3}}).Draw(t, "sizes"),
		takes:  ms("takes", 0, 20),
	}
	if rapid.IntRange(0, 3).Draw(t, "closes") == 0 {
		p.closeAt = ms("closeAt", 1, 60)
	}
	for range rapid.IntRange(1, 40).Draw(t, "callers") {
		c := caller{
			at: ms("at", 0, 60), class: inspection.Class(rapid.IntRange(0, 2).Draw(t, "class")),
			session: rapid.IntRange(0, 1).Draw(t, "session"), fill: ms("fill", 0, 3),
			fate: rapid.SampledFrom(fates).Draw(t, "fate"),
		}
		if rapid.Bool().Draw(t, "hurries") {
			c.deadline = ms("deadline", -1, 80)
		}
		if rapid.IntRange(0, 3).Draw(t, "leaves") == 0 {
			c.cancel = ms("cancel", 1, 60)
		}
		p.callers = append(p.callers, c)
	}
	return p
}

// Whatever is cancelled, expires, fails or explodes: every caller gets its own answer, once, and nobody else's fault.
func TestEveryCallerGetsItsOwnAnswerOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawHistory(rt)
		var err error
		synctest.Test(t, func(*testing.T) { err = p.play() })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func (p history) play() error {
	b, err := startBatcher(p.config)
	if err != nil {
		return err
	}
	fate := func(kind string) func(uint32) bool {
		return func(n uint32) bool { return n > 0 && n <= uint32(len(p.callers)) && p.callers[n-1].fate == kind }
	}
	sessions := make([]*fakeSession, 2)
	for i := range sessions {
		sessions[i] = &fakeSession{sizes: p.sizes, takes: p.takes, bad: fate("bad"), explodes: fate("exploding")}
	}
	tasks, errs := make([]*fakeTask, len(p.callers)), make([]error, len(p.callers))
	var wg sync.WaitGroup
	for i, c := range p.callers {
		wg.Go(func() {
			time.Sleep(c.at)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if c.cancel > 0 {
				defer time.AfterFunc(c.cancel, cancel).Stop()
			}
			o := Order{Class: c.class}
			if c.deadline != 0 {
				o.Deadline = time.Now().Add(c.deadline)
			}
			tasks[i] = &fakeTask{number: uint32(i + 1), deadline: o.Deadline, takes: c.fill, panics: c.fate == "panicking"}
			if c.fate == "refused" {
				tasks[i].refuse = inspection.ErrImage
			}
			errs[i] = b.Do(ctx, sessions[c.session], o, tasks[i])
		})
	}
	if p.closeAt > 0 {
		time.Sleep(p.closeAt)
		b.Close()
	}
	wg.Wait()
	b.Close()
	b.Close()
	for i, c := range p.callers {
		if err := errors.Join(tasks[i].check(errs[i]), p.expected(c, errs[i])); err != nil {
			return fmt.Errorf("caller %d: %w", i+1, err)
		}
	}
	return p.checkRuns(sessions)
}

// expected says whether an answer is one that the caller's own fate explains.
func (p history) expected(c caller, err error) error {
	own := map[string]bool{"good": err == nil, "refused": errors.Is(err, inspection.ErrImage), "bad": errors.Is(err, errBad), "exploding": isPanic(err), "panicking": isPanic(err)}[c.fate]
	switch {
	case own,
		errors.Is(err, inspection.ErrOverloaded) && len(p.callers) > p.config.Queue,
		errors.Is(err, inspection.ErrDeadline) && c.deadline != 0,
		errors.Is(err, context.Canceled) && c.cancel > 0,
		errors.Is(err, inspection.ErrClosed) && p.closeAt > 0:
		return nil
	}
	return fmt.Errorf("a %s one got another's fate: %w", c.fate, err)
}

func isPanic(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "panic while judging")
}

func (p history) checkRuns(sessions []*fakeSession) error {
	for i, s := range sessions {
		if s.leased != 0 {
			return fmt.Errorf("%d leases were never released", s.leased)
		}
		if s.most > p.config.Workers {
			return fmt.Errorf("%d runs at the same time with %d workers", s.most, p.config.Workers)
		}
		for _, members := range s.ran {
			if !slices.Contains(p.sizes, len(members)) {
				return fmt.Errorf("a batch of %d was run, sizes are %v", len(members), p.sizes)
			}
			for at, n := range members {
				if n == 0 && at == 0 {
					return errors.New("a batch of nothing but padding was run")
				}
				if n > uint32(len(p.callers)) {
					return fmt.Errorf("padding was not cleared: %#x", n)
				}
				if n > 0 && p.callers[n-1].session != i {
					return fmt.Errorf("caller %d was run on another session", n)
				}
			}
		}
	}
	return nil
}

// hold occupies a batcher's only worker until release is called.
func hold(b *Batcher, s *fakeSession, wg *sync.WaitGroup) {
	wg.Go(func() { _ = b.Do(context.Background(), s, Order{}, &fakeTask{number: 9999}) })
	synctest.Wait()
}

func TestBatchesAreFormedFromWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 1, Queue: 100})
		quiet(t, err)
		s := &fakeSession{sizes: []int{1, 2, 4, 8}, takes: 500 * ms, each: 500 * ms}
		var c schedule.Curve
		for _, size := range s.sizes {
			d := s.takes + time.Duration(size)*s.each
			c = append(c, schedule.Point{Size: size, Expected: d, P99: d})
		}
		quiet(t, b.SetCurve(s, c))
		var wg sync.WaitGroup
		hold(b, s, &wg)
		for i := range 11 {
			wg.Go(func() { quiet(t, b.Do(context.Background(), s, Order{}, &fakeTask{number: uint32(i + 1)})) })
		}
		wg.Wait()
		b.Close()
		var got []int
		for _, r := range s.ran {
			got = append(got, len(r))
		}
		if want := []int{1, 8, 2, 1}; !slices.Equal(got, want) {
			t.Errorf("got batches of %v, want %v: nothing is padded where that is slower", got, want)
		}
	})
}

func TestOnACPUSamplesGoOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 100, MaxDelay: time.Second})
		quiet(t, err)
		s := &fakeSession{sizes: []int{1, 2, 4}, takes: 10 * time.Millisecond, device: CPU}
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { quiet(t, b.Do(context.Background(), s, Order{}, &fakeTask{number: uint32(i + 1)})) })
		}
		wg.Wait()
		if took := time.Since(start); len(s.ran) != 8 || took != 40*time.Millisecond {
			t.Errorf("got %d runs in %v, want 8 on two workers in 40 ms", len(s.ran), took)
		}
		b.Close()
	})
}

func TestHeavierClassGoesFirstAndQueuesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 1, Queue: 3})
		quiet(t, err)
		s := &fakeSession{sizes: []int{1}, takes: time.Second}
		var wg sync.WaitGroup
		hold(b, s, &wg)
		do := func(n uint32, c inspection.Class) {
			wg.Go(func() { quiet(t, b.Do(context.Background(), s, Order{Class: c}, &fakeTask{number: n})) })
			synctest.Wait()
		}
		for n := range uint32(3) {
			do(21+n, inspection.ClassBulk)
		}
		err = b.Do(context.Background(), s, Order{Class: inspection.ClassBulk}, &fakeTask{number: 24})
		if !errors.Is(err, inspection.ErrOverloaded) {
			t.Errorf("a fourth in a queue of three: got %v, want ErrOverloaded", err)
		}
		do(1, inspection.ClassLine) // a full queue of bulk keeps no part waiting
		wg.Wait()
		b.Close()
		if got, want := fmt.Sprint(s.ran), "[[9999] [1] [21] [22] [23]]"; got != want {
			t.Errorf("got runs %s, want %s", got, want)
		}
	})
}

func TestExpiredAndCancelledNeverBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 1, Queue: 1})
		quiet(t, err)
		s := &fakeSession{sizes: []int{1}, takes: time.Hour}
		var wg sync.WaitGroup
		hold(b, s, &wg)
		start := time.Now()
		past := &fakeTask{number: 1}
		if err := b.Do(context.Background(), s, Order{Deadline: start}, past); !errors.Is(err, inspection.ErrDeadline) || past.fills > 0 {
			t.Errorf("a deadline that is now: got %v after %d fills, want ErrDeadline", err, past.fills)
		}
		soon := &fakeTask{number: 2}
		err = b.Do(context.Background(), s, Order{Deadline: start.Add(time.Second)}, soon)
		if took := time.Since(start); !errors.Is(err, inspection.ErrDeadline) || took != time.Second || soon.fills > 0 {
			t.Errorf("a deadline in the queue: got %v after %v and %d fills, want ErrDeadline after 1 s", err, took, soon.fills)
		}
		// Both have left the queue of one: there is room again.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		gone := &fakeTask{number: 3}
		if err := b.Do(ctx, s, Order{}, gone); !errors.Is(err, context.DeadlineExceeded) || gone.fills > 0 {
			t.Errorf("a context that ends in the queue: got %v after %d fills", err, gone.fills)
		}
		ended, end := context.WithCancel(context.Background())
		end()
		if err := b.Do(ended, s, Order{}, &fakeTask{number: 4}); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that had ended: got %v, want context.Canceled", err)
		}
		wg.Wait()
		b.Close()
		if len(s.ran) != 1 {
			t.Errorf("got runs %v, want only the one that held the worker", s.ran)
		}
	})
}

func TestADelayFillsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 1, Queue: 10, MaxDelay: 10 * time.Millisecond})
		quiet(t, err)
		s := &fakeSession{sizes: []int{1, 2, 4}}
		var wg sync.WaitGroup
		start := time.Now()
		for i := range 4 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 2 * time.Millisecond)
				quiet(t, b.Do(context.Background(), s, Order{}, &fakeTask{number: uint32(i + 1)}))
			})
		}
		wg.Wait()
		if took := time.Since(start); len(s.ran) != 1 || took != 6*time.Millisecond {
			t.Errorf("got runs %v after %v, want one of 4 as soon as it is full, after 6 ms", s.ran, took)
		}
		quiet(t, b.Do(context.Background(), s, Order{}, &fakeTask{number: 5}))
		if took := time.Since(start); took != 16*time.Millisecond {
			t.Errorf("a lonely one took until %v, want 16 ms: it waits for the delay and no longer", took)
		}
		b.Close()
	})
}

func TestBatcherConfigIsChecked(t *testing.T) {
	for _, c := range []BatcherConfig{{Queue: 1}, {Workers: 1}, {Workers: 1, Queue: 1, MaxDelay: -1}} {
		if _, err := startBatcher(c); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("%+v: got %v, want ErrInvalid", c, err)
		}
	}
}
