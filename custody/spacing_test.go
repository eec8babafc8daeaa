package custody

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-vision/assay/inspection"
)

// landed is when a commit came to the store, since the first one did, and the seqs of its entries.
type landed struct {
	At   time.Duration
	Seqs []uint64
}

// watch notes every commit of a store, each of which lasts that long.
func watch(s *memStore, lasts time.Duration) func() []landed {
	var mu sync.Mutex
	var first time.Time
	var all []landed
	s.commit = func(es []inspection.Entry) (time.Duration, error) {
		mu.Lock()
		defer mu.Unlock()
		if first.IsZero() {
			first = time.Now()
		}
		l := landed{At: time.Since(first)}
		for _, e := range es {
			l.Seqs = append(l.Seqs, e.Key.Seq)
		}
		all = append(all, l)
		return lasts, nil
	}
	return func() []landed {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// takes is an engine that takes as long for each frame as the table says, in ms.
func takes(ms map[uint64]int) *scripted {
	return &scripted{judge: func(job inspection.Job) (time.Duration, inspection.Judgement, error) {
		return time.Duration(ms[job.Frame.Key.Seq]) * time.Millisecond, modelSays(job, inspection.Pass), nil
	}}
}

// spaced sends frames 1 to n at once, each with its budget or a long one, waits for their answers and returns the commits.
func spaced(t *testing.T, ms map[uint64]int, budget map[uint64]time.Duration, change func(*Config)) (commits []landed) {
	t.Helper()
	var seen func() []landed
	onBench(t, takes(ms), func(c *Config, s *memStore) {
		c.CommitSpacing, c.CommitReserve = 5*time.Millisecond, 3*time.Millisecond
		if change != nil {
			change(c)
		}
		seen = watch(s, time.Millisecond)
	}, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for seq := range ms {
			wg.Go(func() {
				job := newJob(seq, "a")
				if d, ok := budget[seq]; ok {
					job.Deadline = job.Received.Add(d)
				}
				if a := b.inspect(t, job); !a.Recorded {
					t.Errorf("frame %d is not recorded", seq)
				}
			})
		}
		wg.Wait()
		commits = seen()
	})
	return commits
}

func TestCommitsAreSpacedWhileFramesAreJudged(t *testing.T) {
	const ms = time.Millisecond
	many := map[uint64]int{1: 10, 2: 12, 3: 13, 4: 14, 5: 17, 11: 40, 12: 41, 13: 42, 14: 43, 15: 44, 16: 45, 17: 46, 18: 47, 19: 48}
	for name, c := range map[string]struct {
		takes  map[uint64]int
		budget map[uint64]time.Duration
		change func(*Config)
		want   []landed // the first of them
	}{
		// 2 to 4 come within 5 ms of the first commit and wait for its end; 5 comes later than that and goes at once.
		"what comes soon after a commit waits for company": {many, nil, nil,
			[]landed{{0, []uint64{1}}, {5 * ms, []uint64{2, 3, 4}}, {10 * ms, []uint64{5}}}},
		"not when there is no spacing": {many, nil, func(c *Config) { c.CommitSpacing = 0 },
			[]landed{{0, []uint64{1}}, {2 * ms, []uint64{2}}, {3 * ms, []uint64{3}}, {4 * ms, []uint64{4}}, {7 * ms, []uint64{5}}}},
		"a full group goes at once": {many, nil, func(c *Config) { c.CommitGroup = 2 },
			[]landed{{0, []uint64{1}}, {3 * ms, []uint64{2, 3}}, {7 * ms, []uint64{4, 5}}}},
		"a lone frame never waits": {map[uint64]int{1: 10, 2: 12}, nil, nil,
			[]landed{{0, []uint64{1}}, {2 * ms, []uint64{2}}}},
		"one does not wait for one": {map[uint64]int{1: 10, 2: 12, 3: 40}, nil, nil,
			[]landed{{0, []uint64{1}}, {2 * ms, []uint64{2}}, {30 * ms, []uint64{3}}}},
		// Frame 3 is judged 5.5 ms before its deadline: 1 ms of that is its margin, and 3 ms are the reserve.
		"no longer than a deadline allows": {many, map[uint64]time.Duration{3: 18500 * time.Microsecond}, nil,
			[]landed{{0, []uint64{1}}, {4500 * time.Microsecond, []uint64{2, 3, 4}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := spaced(t, c.takes, c.budget, c.change)
			if diff := cmp.Diff(c.want, got[:min(len(got), len(c.want))]); diff != "" {
				t.Errorf("commits (-want +got):\n%s", diff)
			}
			var seqs []uint64
			for _, l := range got {
				seqs = append(seqs, l.Seqs...)
			}
			if !slices.IsSorted(seqs) || len(seqs) != len(c.takes) { // frames were done in the order of their seqs
				t.Errorf("recorded %v, want each once and in the order of submission", seqs)
			}
		})
	}
}

// TestCloseEndsTheWaitForCompany: a writer that is closed commits what it has at once.
func TestCloseEndsTheWaitForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, s := Default(), newMemStore()
		cfg.CommitSpacing = time.Second - 1
		seen := watch(s, 0)
		w := newWriter(context.Background(), cfg, s, newReserve(time.Millisecond), nil, newMetrics(nil))
		w.judging.Store(100)
		began := time.Now()
		for seq := range uint64(3) {
			if _, err := w.submit([]inspection.Entry{{Key: inspection.FrameKey{Seq: seq}}}, time.Time{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		w.close()
		if got := seen(); time.Since(began) > 0 || len(got) != 2 || len(got[1].Seqs) != 2 {
			t.Errorf("closed after %v with commits %v, want at once with the first alone and the others in one", time.Since(began), got)
		}
	})
}

// TestTheReserveIsOfWritesThatDoNotWait: that writes which have time are put off must not leave those which have none with
// less time to be judged in.
func TestTheReserveIsOfWritesThatDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, s := Default(), newMemStore()
		cfg.CommitSpacing = 50 * time.Millisecond
		watch(s, time.Millisecond)
		r := newReserve(25 * time.Millisecond)
		w := newWriter(t.Context(), cfg, s, r, nil, newMetrics(nil))
		w.judging.Store(100)
		for seq := range uint64(2 * refresh) {
			wr, err := w.submit([]inspection.Entry{{Key: inspection.FrameKey{Seq: seq}}}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			<-wr.done
			if seq > 0 && wr.took < 10*time.Millisecond {
				t.Fatalf("write %d took %v, want it put off", seq, wr.took)
			}
		}
		w.close()
		if got := r.p99(); got != time.Millisecond {
			t.Errorf("got a reserve of %v, want the 1ms that a commit takes", got)
		}
	})
}
