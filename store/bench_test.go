package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

// BenchmarkCommit measures groups of model verdicts, one in eight with a called defect, each with its announcement beside
// it or not: frames/s, and the 99th percentile of a commit in microseconds.
func BenchmarkCommit(b *testing.B) {
	for _, group := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
			s := openBench(b)
			seq := uint64(0)
			took := make([]time.Duration, 0, 1<<16)
			for b.Loop() {
				entries := make([]inspection.Entry, group)
				for i := range entries {
					seq++
					v := inspection.Pass
					if seq%8 == 0 {
						v = inspection.Fail
					}
					entries[i] = storetest.Entry(seq, v)
				}
				began := time.Now()
				if err := s.Commit(b.Context(), entries); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(seq)/b.Elapsed().Seconds(), "frames/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkLookup measures what the desk asks for every frame: usually the key is new.
func BenchmarkLookup(b *testing.B) {
	s := openBench(b)
	for seq := uint64(1); seq <= 5000; seq += 100 {
		var group []inspection.Entry
		for i := range uint64(100) {
			group = append(group, storetest.Entry(seq+i, inspection.Fail))
		}
		if err := s.Commit(b.Context(), group); err != nil {
			b.Fatal(err)
		}
	}
	for name, first := range map[string]uint64{"new": 1 << 40, "recorded": 1} {
		b.Run(name, func(b *testing.B) {
			n := uint64(0)
			for b.Loop() {
				_, err := s.Lookup(b.Context(), storetest.Key(first+n%5000))
				if n++; err != nil && !errors.Is(err, inspection.ErrNotFound) {
					b.Fatal(err)
				}
			}
		})
	}
}

func openBench(b *testing.B) *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}
