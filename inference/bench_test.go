//go:build gocv_specific_modules

package inference_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
)

// realPairs reads board layers with their templates, or draws them where the data are not here.
func realPairs(b *testing.B, n int) (frames [][]byte, templates map[string]inspection.Template, keys []string) {
	templates = map[string]inspection.Template{}
	list, err := os.ReadFile(filepath.Join(dataRoot(), "deeppcb", "val.txt"))
	if err != nil {
		b.Logf("deeppcb is not here, drawn layers are used: %v", err)
		return [][]byte{asJPEG(b, board(true))}, template(b, "top"), []string{"top"}
	}
	for i, line := range strings.Fields(string(list))[:n] {
		base := filepath.Join(dataRoot(), "deeppcb", "PCBData", line)
		frame, err := os.ReadFile(base + "_test.jpg")
		if err != nil {
			b.Fatal(err)
		}
		temp, err := os.ReadFile(base + "_temp.png")
		if err != nil {
			b.Fatal(err)
		}
		key := fmt.Sprint("t", i)
		frames, keys = append(frames, frame), append(keys, key)
		templates[key] = inspection.Template{Key: key, Format: inspection.FormatPNG, Data: temp}
	}
	return frames, templates, keys
}

// BenchmarkEngine compares the raw session (2 callers, no decoding) with whole frames, in one run: their ratio is what
// means something on a noisy machine.
func BenchmarkEngine(b *testing.B) {
	rt := newORT(b)
	repo := shippedModels(b)
	m, err := repo.Get("pcb-pair", "")
	if err != nil {
		b.Fatal(err)
	}
	s, err := rt.Open(context.Background(), m, inference.Opening{Leases: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, size := range s.BatchSizes() {
		b.Run(fmt.Sprintf("raw-batch-%d", size), func(b *testing.B) {
			concurrently(b, 2, size, func(int) {
				t, err := s.Lease(size)
				if err == nil {
					_, err = t.Run()
				}
				if err != nil {
					b.Error(err)
					return
				}
				t.Release()
			})
		})
	}
	frames, templates, keys := realPairs(b, 50)
	for _, align := range []inspection.Align{inspection.AlignNone, inspection.AlignTranslation} {
		e := newEngine(b, rt, repo)
		r := openRecipe("pcb-pair", 0.05)
		r.Reference = inspection.ReferenceSpec{Templates: templates, Align: align, MaxShiftPx: 10}
		job := ready(b, e, r)
		for _, callers := range []int{2, 3, 16} {
			b.Run(fmt.Sprintf("inspect-align-%s-callers-%d", align, callers), func(b *testing.B) {
				concurrently(b, callers, 1, func(i int) {
					j := job(jobOf(uint64(i+1), frames[i%len(frames)]))
					j.Frame.View = keys[i%len(keys)]
					if _, err := e.Inspect(context.Background(), j); err != nil {
						b.Error(err)
					}
				})
			})
		}
	}
}

// concurrently runs do b.N times from so many goroutines, each time for so many frames, and reports frames per second and
// what a frame costs in processor time, which is the steadier figure on a busy machine.
func concurrently(b *testing.B, callers, frames int, do func(i int)) {
	before := processorTime(b)
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				do(int(i - 1))
			}
		})
	}
	wg.Wait()
	n := float64(b.N * frames)
	b.ReportMetric(n/b.Elapsed().Seconds(), "frames/s")
	b.ReportMetric((processorTime(b)-before).Seconds()*1e3/n, "cpu-ms/frame")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
