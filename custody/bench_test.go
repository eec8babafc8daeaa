package custody_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/custody"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
)

// worker judges one frame at a time and keeps a processor busy with it.
type worker struct {
	mu sync.Mutex
	engine
}

func (w *worker) Inspect(ctx context.Context, job inspection.Job) (inspection.Judgement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for end := time.Now().Add(700 * time.Microsecond); time.Now().Before(end); {
	}
	return w.engine.Inspect(ctx, job)
}

// BenchmarkDesk measures cameras that send their next frame when they have their answer, on a model of 0.7 ms: frames/s,
// the time from a frame to its answer, and the frames of a commit.
func BenchmarkDesk(b *testing.B) {
	for _, spacing := range []time.Duration{0, custody.Default().CommitSpacing} {
		for _, flying := range []int{1, 4, 32} {
			b.Run(fmt.Sprintf("spacing=%v/in_flight=%d", spacing, flying), func(b *testing.B) {
				st, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = st.Close() }()
				cfg := custody.Default()
				cfg.CommitSpacing = spacing
				counted := &counting{Store: st}
				d, err := custody.New(cfg, &worker{}, counted, noImages{}, nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				var seq atomic.Uint64
				var mu sync.Mutex
				var took []time.Duration
				b.ResetTimer()
				var cameras sync.WaitGroup
				for range flying {
					cameras.Go(func() {
						for n := seq.Add(1); n <= uint64(b.N); n = seq.Add(1) {
							began := time.Now()
							if a, err := d.Inspect(b.Context(), job(n, "a", 500*time.Millisecond)); err != nil || !a.Recorded {
								b.Errorf("frame %d: recorded %v, %v", n, a.Recorded, err)
							}
							mu.Lock()
							took = append(took, time.Since(began))
							mu.Unlock()
						}
					})
				}
				cameras.Wait()
				b.StopTimer()
				slices.Sort(took)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
				b.ReportMetric(float64(b.N)/float64(counted.commits.Load()), "frames/commit")
				_ = d.Close(context.Background())
			})
		}
	}
}

type counting struct {
	*store.Store
	commits atomic.Int64
}

func (c *counting) Commit(ctx context.Context, entries []inspection.Entry) error {
	c.commits.Add(1)
	return c.Store.Commit(ctx, entries)
}
