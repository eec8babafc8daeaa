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

// BenchmarkList measures a page of 100 results out of 20000, without a filter, of a time, of one camera and of failures.
func BenchmarkList(b *testing.B) {
	s := openBench(b)
	first := storetest.Entry(1, inspection.Pass).Received
	for seq := uint64(1); seq <= 20_000; seq += 250 {
		var group []inspection.Entry
		for i := range uint64(250) {
			v := inspection.Pass
			if (seq+i)%8 == 0 {
				v = inspection.Fail
			}
			group = append(group, storetest.Entry(seq+i, v))
		}
		if err := s.Commit(b.Context(), group); err != nil {
			b.Fatal(err)
		}
	}
	key := storetest.Key(1)
	for name, q := range map[string]inspection.Query{
		"all": {}, "time": {From: first.Add(time.Hour), Ascending: true}, "lot": {Lot: "lot-1"},
		"camera": {Line: key.Line, Station: key.Station, Camera: key.Camera}, "failures": {Verdicts: []inspection.Verdict{inspection.Fail}},
	} {
		for _, limit := range []int{1, 100} {
			q.Limit = limit
			b.Run(fmt.Sprintf("%s/%d", name, limit), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if p, err := s.List(b.Context(), q); err != nil || len(p.Results) != limit {
						b.Fatal(len(p.Results), err)
					}
				}
			})
		}
	}
}

func openBench(b *testing.B) *store.Store {
	b.Helper()
	s := openDir(b, b.TempDir())
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func openDir(b *testing.B, dir string) *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), store.Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	return s
}
