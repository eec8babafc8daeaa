package store_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

// benchRows are in the database before anything is measured: an index of a day's ids does not fit one page.
const benchRows = 50_000

// BenchmarkRecord measures what recording a frame costs a node that has recorded for a while: processor time of the whole
// process, bytes written to the write-ahead log and the database (checkpoints included) and write calls, all per frame.
// load: as the load generator sends them, with a serial. line: with lot, work order, run and an image that is kept.
func BenchmarkRecord(b *testing.B) {
	for _, kind := range []string{"load", "line"} {
		var s *store.Store // opened and filled by the first that runs, closed after the last
		dir := b.TempDir()
		seq := uint64(0)
		next := func(n int) []inspection.Entry {
			entries := make([]inspection.Entry, n)
			for i := range entries {
				seq++
				entries[i] = benchEntry(seq, kind == "line")
			}
			return entries
		}
		for _, group := range []int{1, 10, 32} {
			b.Run(fmt.Sprintf("%s/group=%d", kind, group), func(b *testing.B) {
				if s == nil {
					s = openDir(b, dir)
					for seq < benchRows {
						if err := s.Commit(b.Context(), next(250)); err != nil {
							b.Fatal(err)
						}
					}
				}
				var groups [][]inspection.Entry
				var sum, since spent
				var batches []float64 // processor time of a hundred commits, in ns a frame
				frames := 0
				b.ReportAllocs()
				b.ResetTimer()
				for b.Loop() {
					if len(groups) == 0 {
						b.StopTimer()
						now := readSpent(b)
						sum = sum.plus(since, now)
						if since != (spent{}) {
							batches = append(batches, float64((now.cpu-since.cpu).Nanoseconds())/float64(100*group))
						}
						for range 100 {
							groups = append(groups, next(group))
						}
						since = readSpent(b)
						b.StartTimer()
					}
					if err := s.Commit(b.Context(), groups[0]); err != nil {
						b.Fatal(err)
					}
					groups = groups[1:]
					frames += group
				}
				sum = sum.plus(since, readSpent(b))
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
				b.ReportMetric(float64(sum.cpu.Nanoseconds())/float64(frames), "cpu-ns/frame")
				if slices.Sort(batches); len(batches) > 0 { // what a quiet machine takes
					b.ReportMetric(batches[len(batches)/10], "quiet-cpu-ns/frame")
				}
				b.ReportMetric(float64(sum.bytes)/4096/float64(frames), "pages/frame")
				b.ReportMetric(float64(sum.calls)/float64(frames), "writes/frame")
			})
		}
		if s != nil {
			_ = s.Close()
		}
	}
}

// benchEntry is a PASS with what a real one carries: facts, timings and up to three candidates below the threshold.
func benchEntry(seq uint64, line bool) inspection.Entry {
	e := storetest.Entry(seq, inspection.Pass)
	j := e.Judgement
	j.Timings = inspection.Timings{
		Receive: 180 * time.Microsecond, Queue: 21*time.Millisecond + time.Duration(seq), Decode: 400 * time.Microsecond,
		ComputeInput: 90 * time.Microsecond, ComputeInfer: 700 * time.Microsecond, ComputeOutput: 30 * time.Microsecond,
	}
	j.Facts = &inspection.ImageFacts{Width: 640, Height: 640, Mean: 117.4375 + float64(seq%7), Contrast: 48.21875, Sharpness: 512.59375}
	for i := range int(seq % 4) {
		j.Defects = append(j.Defects, inspection.Defect{
			ID: i + 1, Class: "mousebite", Score: 0.1171875, Verdict: inspection.Pass,
			Box: inspection.Box{X1: 101.5, Y1: 202.25, X2: 131.5, Y2: 240.75},
		})
	}
	e.Frame.Serial = "01JD0000000000000000000000-" + strconv.FormatUint(seq, 10)
	if !line {
		f := e.Frame
		f.RunID, f.Lot, f.WorkOrder, f.Product, f.Encoder, f.Simulated = "", "", "", "", nil, true
		e.Image.State, e.Simulated = inspection.ImageShed, true
	}
	return e
}

// spent is what a process has used up.
type spent struct {
	cpu          time.Duration
	bytes, calls int64 // written to files, and in how many calls
}

func (s spent) plus(from, to spent) spent {
	if from == (spent{}) {
		return s
	}
	return spent{s.cpu + to.cpu - from.cpu, s.bytes + to.bytes - from.bytes, s.calls + to.calls - from.calls}
}

func readSpent(b *testing.B) (s spent) {
	b.Helper()
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	s.cpu = time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		switch name {
		case "wchar":
			s.bytes = n
		case "syscw":
			s.calls = n
		}
	}
	return s
}
