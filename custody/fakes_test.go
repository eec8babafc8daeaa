package custody

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/assay-vision/assay/inspection"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// memStore is a Store in memory. Its commits take as long and fail as the test says, and land all or nothing.
type memStore struct {
	commit func(entries []inspection.Entry) (time.Duration, error) // before landing; nil: at once, always
	lookup func(key inspection.FrameKey) (time.Duration, error)

	mu      sync.Mutex
	results map[inspection.FrameKey]*inspection.Result
	early   map[inspection.FrameKey][]inspection.Announcement // announced before their frame
	drops   []inspection.Drop
	groups  []int // entries of each commit that landed
	doubles int   // new results for a key that had one
	orphans int   // evidence for a key without a result
}

func newMemStore() *memStore {
	return &memStore{results: map[inspection.FrameKey]*inspection.Result{}, early: map[inspection.FrameKey][]inspection.Announcement{}}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *memStore) Commit(ctx context.Context, entries []inspection.Entry) error {
	if s.commit != nil {
		d, err := s.commit(entries)
		if serr := sleep(ctx, d); serr != nil {
			return serr
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = append(s.groups, len(entries))
	for _, e := range entries {
		s.land(e)
	}
	return nil
}

func (s *memStore) land(e inspection.Entry) {
	r := s.results[e.Key]
	switch {
	case e.Frame != nil && r != nil:
		s.doubles++
	case e.Frame != nil:
		s.results[e.Key] = &inspection.Result{
			ID: e.Key.ID(), Frame: *e.Frame, Image: e.Image, Received: e.Received,
			Judgements: []inspection.Judgement{*e.Judgement}, Announced: s.early[e.Key],
		}
	case e.Drop != nil:
		s.drops = append(s.drops, *e.Drop)
	case e.Announcement != nil && r == nil:
		s.early[e.Key] = append(s.early[e.Key], *e.Announcement)
	case e.Announcement != nil:
		r.Announced = append(r.Announced, *e.Announcement)
	case r == nil:
		s.orphans++
	default:
		r.Judgements = append(r.Judgements, *e.Judgement)
	}
}

func (s *memStore) Lookup(ctx context.Context, key inspection.FrameKey) (inspection.Result, error) {
	if s.lookup != nil {
		d, err := s.lookup(key)
		if serr := sleep(ctx, d); serr != nil {
			return inspection.Result{}, serr
		}
		if err != nil {
			return inspection.Result{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.results[key]
	if !ok {
		early := inspection.Result{Announced: append([]inspection.Announcement(nil), s.early[key]...)}
		return early, fmt.Errorf("result %s: %w", key, inspection.ErrNotFound)
	}
	c := *r
	c.Judgements = append([]inspection.Judgement(nil), r.Judgements...)
	c.Announced = append([]inspection.Announcement(nil), r.Announced...)
	return c, nil
}

func (s *memStore) has(key inspection.FrameKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.results[key] != nil
}

func (s *memStore) result(t *testing.T, key inspection.FrameKey) inspection.Result {
	t.Helper()
	r, err := s.Lookup(t.Context(), key)
	if err != nil {
		t.Fatalf("result of %s: %v", key, err)
	}
	return r
}

// scripted is an engine that answers after a while.
type scripted struct {
	judge func(job inspection.Job) (time.Duration, inspection.Judgement, error)

	mu    sync.Mutex
	calls map[inspection.FrameKey]int
	gone  int // frames whose bytes were given back while they were judged
}

func (e *scripted) Inspect(ctx context.Context, job inspection.Job) (inspection.Judgement, error) {
	e.mu.Lock()
	if e.calls == nil {
		e.calls = map[inspection.FrameKey]int{}
	}
	e.calls[job.Frame.Key]++
	e.mu.Unlock()
	d, j, err := e.judge(job)
	serr := sleep(ctx, d)
	e.touch(job.Frame.Image.Data)
	if serr != nil {
		return inspection.Judgement{}, serr
	}
	return j, err
}

// touch counts bytes that were given back too early; Ref panics on them.
func (e *scripted) touch(b *inspection.Buffer) {
	defer func() {
		if recover() != nil {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.gone++
		}
	}()
	b.Ref().Release()
}

func (e *scripted) count(key inspection.FrameKey) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[key]
}

// after returns an engine that says v about every frame after d.
func after(d time.Duration, v inspection.Verdict) *scripted {
	return &scripted{judge: func(job inspection.Job) (time.Duration, inspection.Judgement, error) {
		return d, modelSays(job, v), nil
	}}
}

func failing(d time.Duration, err error) *scripted {
	return &scripted{judge: func(inspection.Job) (time.Duration, inspection.Judgement, error) {
		return d, inspection.Judgement{}, err
	}}
}

func modelSays(job inspection.Job, v inspection.Verdict) inspection.Judgement {
	j := inspection.Judgement{Verdict: v, Source: inspection.SourceModel, Model: job.Model, Recipe: job.Recipe.Ref(), Node: "n", At: time.Now()}
	if v != inspection.Pass {
		j.Reason = inspection.ReasonDefect
		j.Defects = []inspection.Defect{{ID: 1, Class: "open", Score: 0.9, Called: true, Verdict: v}}
	}
	return j
}

// album is an Images that counts what it was handed.
type album struct {
	mu   sync.Mutex
	kept []Picture
	data [][]byte
}

func (a *album) Keep(p Picture) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = append(a.kept, p)
	a.data = append(a.data, p.Data.Bytes())
}

func (a *album) pictures() []Picture {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Picture(nil), a.kept...)
}

var board = inspection.Recipe{Name: "board", Revision: 1, Fallback: inspection.Review, Budget: budget}

const budget = 100 * time.Millisecond

// job returns a job with its whole budget ahead. Its image is any bytes: the desk does not decode.
func newJob(seq uint64, image string) inspection.Job {
	now := time.Now()
	return inspection.Job{
		Frame: inspection.Frame{
			Key: inspection.FrameKey{Line: "l", Station: "s", Camera: "c", Session: "01J", Seq: seq}, Attempt: 1, Recipe: "board",
			Image: inspection.Image{Format: inspection.FormatPNG, Data: inspection.NewBuffer(nil, []byte(image))},
		},
		Recipe: &board, Model: inspection.ModelRef{Name: "m", Version: "1", Digest: "d"},
		Received: now, Deadline: now.Add(budget),
	}
}

type bench struct {
	*Desk
	store  *memStore
	engine *scripted
	album  *album
	reg    *prometheus.Registry
}

// onBench runs a test in virtual time on a desk of its own, closes it and checks that all image references came back.
func onBench(t *testing.T, engine *scripted, change func(*Config, *memStore), test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg, store := Default(), newMemStore()
		cfg.Node = "desk"
		if change != nil {
			change(&cfg, store)
		}
		b := &bench{store: store, engine: engine, album: &album{}, reg: prometheus.NewRegistry()}
		var err error
		if b.Desk, err = New(cfg, engine, store, b.album, nil, b.reg); err != nil {
			t.Fatal(err)
		}
		test(t, b)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := b.Close(ctx); err != nil && !errors.Is(err, inspection.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
		if store.doubles > 0 || store.orphans > 0 {
			t.Errorf("store got %d second results and %d pieces of evidence without a result, want none", store.doubles, store.orphans)
		}
		if engine.gone > 0 {
			t.Errorf("the bytes of %d frames were given back while the engine had them", engine.gone)
		}
	})
}

func (b *bench) inspect(t *testing.T, job inspection.Job) inspection.Answer {
	t.Helper()
	a, err := b.Inspect(t.Context(), job)
	if err != nil {
		t.Fatalf("Inspect %s: %v", job.Frame.Key, err)
	}
	if !job.Deadline.IsZero() && time.Now().After(job.Deadline) {
		t.Errorf("answer %v after the deadline", time.Since(job.Deadline))
	}
	return a
}

// metric returns the sum over all label values of a counter or gauge.
func (b *bench) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return sum
	}
	t.Fatalf("no metric %s", name)
	return 0
}
