//go:build gocv_specific_modules

package inference_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference"
)

// BenchmarkIdleMode compares a model that runs as planned with one that was not measured, in one run: p50 of frames that
// come one by one is what the idle mode is for, and frames/s of many callers is what it must not cost.
func BenchmarkIdleMode(b *testing.B) {
	rt, repo := newORT(b), shippedModels(b)
	frame := asJPEG(b, board(true))
	for _, callers := range []int{1, 2, 8} {
		for _, measure := range []time.Duration{0, 3 * time.Second} {
			e, err := inference.New(inference.Config{Threads: 2, Queue: 64, Planning: inference.Planning{Measure: measure}}, rt, repo, "n", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				b.Fatal(err)
			}
			job := ready(b, e, pairRecipe(b))
			b.Run(fmt.Sprintf("callers-%d/planned-%v", callers, measure > 0), func(b *testing.B) {
				var mu sync.Mutex
				var took []time.Duration
				concurrently(b, callers, 1, func(i int) {
					start := time.Now()
					if _, err := e.Inspect(context.Background(), job(jobOf(uint64(i+1), frame))); err != nil {
						b.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					took = append(took, time.Since(start))
				})
				slices.Sort(took)
				b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
				b.ReportMetric(took[(len(took)*99+99)/100-1].Seconds()*1e3, "p99-ms")
			})
			if measure > 0 {
				p, err := e.Profile(context.Background(), "pcb-pair", "", false)
				if err != nil {
					b.Fatal(err)
				}
				b.Logf("all threads on one frame: %v; runs by one thread %+v, by all %+v", p.Plan.Choice.Idle != nil, p.Reality.Narrow, p.Reality.Wide)
			}
			if err := e.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
