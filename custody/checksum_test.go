package custody

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// pattern returns size bytes, the same each time.
func pattern(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(i * i >> 3)
	}
	return out
}

// cut returns data in pieces of a size.
func cut(data []byte, piece int) (out [][]byte) {
	for len(data) > piece {
		out, data = append(out, data[:piece]), data[piece:]
	}
	return append(out, data)
}

// The values are those of the reference implementation, as `xxhsum -H128` writes them.
func TestXXH128(t *testing.T) {
	for _, c := range []struct {
		data []byte
		want string
	}{
		{nil, "99aa06d3014798d86001c324468d497f"},
		{[]byte("a"), "a96faf705af16834e6c632b61e964e1f"},
		{pattern(5000), "f05619f4b8cc9b78dd9891de816b182f"},
	} {
		for _, piece := range []int{1, 100, 1024, 1088, 1089, 4999, 5000} {
			if got := xxh128Of(inspection.NewBuffer(nil, cut(c.data, piece)...)); got != c.want {
				t.Errorf("%d bytes in pieces of %d: got %s, want %s", len(c.data), piece, got, c.want)
			}
		}
	}
	if got := xxh128Of(nil); got != "99aa06d3014798d86001c324468d497f" {
		t.Errorf("no buffer at all: got %s, want that of no bytes", got)
	}
}

// withImage returns a job whose image comes in pieces.
func withImage(seq uint64, data []byte, piece int) inspection.Job {
	job := newJob(seq, "")
	job.Frame.Image.Data = inspection.NewBuffer(nil, cut(data, piece)...)
	return job
}

var conflicting = answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonConflict, true, false}

// The pieces are how the bytes happened to travel; one other byte is another image, wherever it is.
func TestRepeatAndConflictByTheBytes(t *testing.T) {
	onBench(t, after(0, inspection.Pass), nil, func(t *testing.T, b *bench) {
		data := pattern(100_000)
		b.inspect(t, withImage(1, data, 16<<10))
		for _, piece := range []int{1000, 16 << 10, len(data)} {
			check(t, fmt.Sprintf("the same bytes in pieces of %d", piece), b.inspect(t, withImage(1, data, piece)),
				answer{inspection.Pass, inspection.SourceModel, "", true, true})
		}
		for i, at := range []int{0, 16<<10 - 1, 16 << 10, 50_000, len(data) - 1} {
			seq := uint64(10 + i)
			b.inspect(t, withImage(seq, data, 16<<10))
			other := append([]byte(nil), data...)
			other[at] ^= 1
			check(t, fmt.Sprintf("byte %d differs", at), b.inspect(t, withImage(seq, other, 16<<10)), conflicting)
			job := withImage(seq, other, 16<<10)
			js := b.store.result(t, job.Frame.Key).Judgements
			want := fmt.Sprintf("delivered again with another image: XXH128 %s, recorded is %s", xxh128Of(job.Frame.Image.Data), xxh128Of(withImage(seq, data, 1000).Frame.Image.Data))
			if got := js[len(js)-1].Detail; got != want {
				t.Errorf("byte %d differs: detail %q, want %q", at, got, want)
			}
		}
		if got, want := b.metric(t, "assay_custody_repeats_total"), 3.0; got != want {
			t.Errorf("repeats counter is %v, want %v", got, want)
		}
	})
}

// A record from before XXH128 has a SHA-256 alone, and a delivery is compared with it by that.
func TestRecordThatHasOnlySHA256(t *testing.T) {
	old := func(b *bench, seq uint64, data []byte) {
		job := newJob(seq, "")
		r := inspection.Result{ID: job.Frame.Key.ID(), Frame: job.Frame, Judgements: []inspection.Judgement{modelSays(job, inspection.Pass)}}
		r.Frame.Image.Data = nil
		r.Image = inspection.ImageInfo{Size: int64(len(data)), SHA256: sha256Of(inspection.NewBuffer(nil, data)), State: inspection.ImageShed}
		b.store.results[job.Frame.Key] = &r
	}
	repeat := answer{inspection.Pass, inspection.SourceModel, "", true, true}
	data, other := pattern(5000), pattern(5001)[1:]
	onBench(t, after(0, inspection.Fail), nil, func(t *testing.T, b *bench) {
		old(b, 1, data)
		check(t, "the same image", b.inspect(t, withImage(1, data, 1000)), repeat)
		for range 2 {
			check(t, "another image", b.inspect(t, withImage(1, other, 1000)), conflicting)
		}
		r := b.store.result(t, newJob(1, "").Frame.Key)
		if len(r.Judgements) != 2 || !strings.Contains(r.Judgements[1].Detail, "SHA-256 "+sha256Of(withImage(1, other, 1000).Frame.Image.Data)) {
			t.Errorf("judgements %+v, want one conflict that names the other image's SHA-256", r.Judgements)
		}
		if n := b.engine.count(r.Frame.Key); n != 0 {
			t.Errorf("judged %d times, want the record's answer", n)
		}
		old(b, 2, nil)
		empty := newJob(2, "")
		empty.Frame.Image.Data = nil
		check(t, "an empty image again", b.inspect(t, empty), repeat)
	})
	// With all places taken the bytes are not there to be compared: the camera sends the frame again.
	crowd := func(cfg *Config, _ *memStore) { cfg.InFlight = 1 }
	onBench(t, after(20*time.Millisecond, inspection.Pass), crowd, func(t *testing.T, b *bench) {
		old(b, 1, data)
		go func() { _, _ = b.Inspect(t.Context(), newJob(2, "a")) }()
		synctest.Wait()
		a := b.inspect(t, withImage(1, data, 1000))
		check(t, "no place", a, answer{inspection.Review, inspection.SourceFallback, inspection.ReasonNotRecorded, false, false})
	})
}

// What the desk computes of every frame: a JPEG in one piece, and a raw image of 20 MP as gRPC hands it over.
func BenchmarkChecksum(b *testing.B) {
	for _, c := range []struct{ size, piece int }{{150_000, 150_000}, {20_000_000, 16 << 10}} {
		b.Run(fmt.Sprintf("bytes=%d/piece=%d", c.size, c.piece), func(b *testing.B) {
			im := inspection.NewBuffer(nil, cut(pattern(c.size), c.piece)...)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				xxh128Of(im)
			}
		})
	}
}
