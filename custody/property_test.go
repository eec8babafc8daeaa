package custody

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// chance is a seeded source that goroutines share.
type chance struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (c *chance) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.IntN(n)
}

// within returns a time below d, now and then far above it.
func (c *chance) within(d time.Duration) time.Duration {
	if c.n(10) == 0 {
		d *= 10
	}
	return time.Duration(c.n(int(d)))
}

var faults = []error{
	inspection.ErrImage, inspection.ErrModelOutput, inspection.ErrOverloaded, inspection.ErrDeadline, inspection.ErrNotReady,
	errors.New("boom"),
}

// storm is a desk between an engine and a store that do what they like, and what its clients have seen.
type storm struct {
	c     *chance
	calm  atomic.Bool // the store works
	freed atomic.Int64

	mu     sync.Mutex
	told   map[inspection.FrameKey][]inspection.Verdict // every answer that was given
	passed map[inspection.FrameKey]bool                 // the engine said PASS
	images int64
}

func (s *storm) engine() *scripted {
	return &scripted{judge: func(job inspection.Job) (time.Duration, inspection.Judgement, error) {
		d := s.c.within(budget)
		if s.c.n(4) == 0 {
			return d, inspection.Judgement{}, faults[s.c.n(len(faults))]
		}
		v := []inspection.Verdict{inspection.Pass, inspection.Pass, inspection.Review, inspection.Fail}[s.c.n(4)]
		if v == inspection.Pass {
			s.mu.Lock()
			s.passed[job.Frame.Key] = true
			s.mu.Unlock()
		}
		return d, modelSays(job, v), nil
	}}
}

func (s *storm) trouble(cfg *Config, store *memStore) {
	cfg.InFlight, cfg.CommitQueue, cfg.CommitGroup = 1+s.c.n(40), 1+s.c.n(40), 1+s.c.n(10)
	store.commit = func([]inspection.Entry) (time.Duration, error) {
		switch {
		case s.calm.Load():
			return time.Millisecond, nil
		case s.c.n(6) == 0:
			return s.c.within(budget), inspection.ErrDiskFull
		case s.c.n(6) == 0:
			return s.c.within(budget), errors.New("constraint failed")
		}
		return s.c.within(budget / 10), nil
	}
	store.lookup = func(inspection.FrameKey) (time.Duration, error) {
		if s.calm.Load() || s.c.n(10) > 0 {
			return 0, nil
		}
		return s.c.within(budget), errors.New("disk I/O error")
	}
}

func (s *storm) job(seq uint64, image string) inspection.Job {
	job := newJob(seq, image)
	s.mu.Lock()
	s.images++
	s.mu.Unlock()
	job.Frame.Image.Data = inspection.NewBuffer(func() { s.freed.Add(1) }, []byte(image))
	job.Frame.Attempt = 1 + s.c.n(3)
	job.Deadline = job.Received.Add(time.Duration(1 + s.c.n(int(2*budget))))
	return job
}

// deliver sends one frame and checks what must hold for every answer.
func (s *storm) deliver(t *testing.T, b *bench, job inspection.Job, patience time.Duration) (inspection.Answer, bool) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := b.Inspect(ctx, job)
	job.Frame.Image.Data.Release()
	if err != nil {
		if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
			t.Errorf("Inspect: %v, want an answer or the caller's own time-out", err)
		}
		return a, false
	}
	if late := time.Since(job.Deadline); late > 0 {
		t.Errorf("answer %v after the deadline", late)
	}
	if a.Verdict == inspection.Pass && (!a.Recorded || a.Effect.Source != inspection.SourceModel) {
		t.Errorf("PASS with recorded=%v from source %s", a.Recorded, a.Effect.Source)
	}
	if a.Recorded && !b.store.has(job.Frame.Key) {
		t.Errorf("recorded=true of a frame that is not in the store")
	}
	s.mu.Lock()
	s.told[job.Frame.Key] = append(s.told[job.Frame.Key], a.Verdict)
	s.mu.Unlock()
	return a, true
}

// TestAnswersInAnyWeather: whatever engine, store and callers do, every delivery has one answer by its deadline, PASS never
// leaves unrecorded or unjudged, and once the store works and cameras have sent again what was not recorded, each frame has
// one primary judgement and an effective verdict no milder than anything the line was told.
func TestAnswersInAnyWeather(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { weather(t, seed) })
	}
}

func weather(t *testing.T, seed uint64) {
	const frames = 25
	s := &storm{
		c:    &chance{r: rand.New(rand.NewPCG(seed, 1))},
		told: map[inspection.FrameKey][]inspection.Verdict{}, passed: map[inspection.FrameKey]bool{},
	}
	var store *memStore
	onBench(t, s.engine(), s.trouble, func(t *testing.T, b *bench) {
		store = b.store
		var wg sync.WaitGroup
		for seq := uint64(1); seq <= frames; seq++ {
			for range 1 + s.c.n(3) {
				wg.Go(func() {
					time.Sleep(s.c.within(3 * budget))
					image := "a"
					if s.c.n(10) == 0 {
						image = "other"
					}
					patience := time.Hour
					if s.c.n(5) == 0 {
						patience = time.Duration(s.c.n(int(budget)))
					}
					s.deliver(t, b, s.job(seq, image), patience)
				})
			}
		}
		wg.Wait()
		time.Sleep(time.Minute) // what is late arrives
		s.calm.Store(true)
		for seq := uint64(1); seq <= frames; seq++ {
			s.resend(t, b, seq)
		}
	})
	if s.freed.Load() != s.images {
		t.Errorf("%d of %d images were given back", s.freed.Load(), s.images)
	}
	s.compare(t, store, frames)
}

// resend does what a camera does: send until it has seen recorded=true.
func (s *storm) resend(t *testing.T, b *bench, seq uint64) {
	for range 20 {
		if a, ok := s.deliver(t, b, s.job(seq, "a"), time.Hour); ok && a.Recorded {
			return
		}
	}
	t.Errorf("frame %d is still not recorded after 20 deliveries to a store that works", seq)
}

func (s *storm) compare(t *testing.T, store *memStore, frames uint64) {
	for seq := uint64(1); seq <= frames; seq++ {
		key := newJob(seq, "").Frame.Key
		r, ok := store.results[key]
		if !ok {
			t.Errorf("frame %d is not in the store", seq)
			continue
		}
		primaries := 0
		for _, j := range r.Judgements {
			if j.Role == inspection.RolePrimary {
				primaries++
			}
		}
		if primaries != 1 {
			t.Errorf("frame %d has %d primary judgements, want 1", seq, primaries)
		}
		effect := inspection.Effective(r.Judgements, r.Announced, nil)
		if told := inspection.MostCareful(s.told[key]...); told.MoreCareful(effect.Verdict) {
			t.Errorf("frame %d: effective verdict %s, but the line was told %s", seq, effect.Verdict, told)
		}
		if effect.Verdict == inspection.Pass && !s.passed[key] {
			t.Errorf("frame %d passes, and no model said so", seq)
		}
	}
}
