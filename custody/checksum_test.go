package custody

import (
	"bytes"
	"fmt"
	"testing"

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
		if got := xxh128Of(inspection.NewBuffer(nil, c.data)); got != c.want {
			t.Errorf("%d bytes: got %s, want %s", len(c.data), got, c.want)
		}
	}
	if got := xxh128Of(nil); got != "99aa06d3014798d86001c324468d497f" {
		t.Errorf("no buffer at all: got %s, want that of no bytes", got)
	}
}

// withImage returns a job with an image.
func withImage(seq uint64, data []byte) inspection.Job {
	job := newJob(seq, "")
	job.Frame.Image.Data = inspection.NewBuffer(nil, data)
	return job
}

var conflicting = answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonConflict, true, false}

// One other byte is another image, wherever it is.
func TestRepeatAndConflictByTheBytes(t *testing.T) {
	onBench(t, after(0, inspection.Pass), nil, func(t *testing.T, b *bench) {
		data := pattern(100_000)
		b.inspect(t, withImage(1, data))
		check(t, "the same bytes", b.inspect(t, withImage(1, bytes.Clone(data))), answer{inspection.Pass, inspection.SourceModel, "", true, true})
		for i, at := range []int{0, 16<<10 - 1, 16 << 10, 50_000, len(data) - 1} {
			seq := uint64(10 + i)
			b.inspect(t, withImage(seq, data))
			other := append([]byte(nil), data...)
			other[at] ^= 1
			check(t, fmt.Sprintf("byte %d differs", at), b.inspect(t, withImage(seq, other)), conflicting)
			job := withImage(seq, other)
			js := b.store.result(t, job.Frame.Key).Judgements
			want := fmt.Sprintf("delivered again with another image: XXH128 %s, recorded is %s", xxh128Of(job.Frame.Image.Data), xxh128Of(withImage(seq, data).Frame.Image.Data))
			if got := js[len(js)-1].Detail; got != want {
				t.Errorf("byte %d differs: detail %q, want %q", at, got, want)
			}
		}
		if got, want := b.metric(t, "assay_custody_repeats_total"), 1.0; got != want {
			t.Errorf("repeats counter is %v, want %v", got, want)
		}
	})
}

// A record that knows of no picture is answered from, whatever comes; that of an empty image knows its checksum.
func TestRecordWithoutAChecksum(t *testing.T) {
	onBench(t, after(0, inspection.Fail), nil, func(t *testing.T, b *bench) {
		for seq, c := range map[uint64]struct {
			known string
			came  []byte
			want  answer
		}{
			1: {"", pattern(5000), answer{inspection.Pass, inspection.SourceModel, "", true, true}},
			2: {"", nil, answer{inspection.Pass, inspection.SourceModel, "", true, true}},
			3: {xxh128Of(nil), nil, answer{inspection.Pass, inspection.SourceModel, "", true, true}},
			4: {xxh128Of(nil), pattern(1), conflicting},
		} {
			job := newJob(seq, "")
			r := inspection.Result{ID: job.Frame.Key.ID(), Frame: job.Frame, Judgements: []inspection.Judgement{modelSays(job, inspection.Pass)}}
			r.Frame.Image.Data = nil
			r.Image = inspection.ImageInfo{XXH128: c.known, State: inspection.ImageShed}
			b.store.results[job.Frame.Key] = &r
			check(t, fmt.Sprintf("%d bytes on a record with checksum %q", len(c.came), c.known), b.inspect(t, withImage(seq, c.came)), c.want)
			if n := b.engine.count(job.Frame.Key); n != 0 {
				t.Errorf("frame %d was judged %d times, want the record's answer", seq, n)
			}
		}
	})
}

// What the desk computes of every frame: a JPEG, and a raw image of 20 MP.
func BenchmarkChecksum(b *testing.B) {
	for _, size := range []int{150_000, 20_000_000} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			im := inspection.NewBuffer(nil, pattern(size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				xxh128Of(im)
			}
		})
	}
}
