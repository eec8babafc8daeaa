package store

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
)

// TestTalliesFollowTheRows: whatever happens to results and images, the sums that statistics read are those of the rows.
func TestTalliesFollowTheRows(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rapid.Check(t, func(rt *rapid.T) {
		for range 8 {
			key := inspection.FrameKey{Line: "l", Station: "s", Camera: "c", Session: "x", Seq: rapid.Uint64Range(1, 40).Draw(rt, "seq")}
			sim := key.Seq%5 == 0
			v := rapid.SampledFrom([]inspection.Verdict{inspection.Pass, inspection.Fail, inspection.Review, inspection.Undetermined}).Draw(rt, "verdict")
			j := inspection.Judgement{Verdict: v, Source: inspection.SourceModel, Model: inspection.ModelRef{Digest: "d"}, At: time.UnixMicro(rapid.Int64Range(1, 3).Draw(rt, "at"))}
			e := inspection.Entry{Key: key, Simulated: sim}
			var err error
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				e.Frame, e.Judgement = &inspection.Frame{Key: key, Simulated: sim}, &j
				e.Image = inspection.ImageInfo{Size: rapid.Int64Range(0, 3).Draw(rt, "size"), XXH128: string(make([]byte, 32))}
			case 1:
				e.Announcement = &inspection.Announcement{Verdict: v, Source: inspection.SourceCamera}
			case 2:
				e.Drop = &inspection.Drop{Key: key, First: key.Seq, Last: key.Seq, Simulated: sim}
			case 3:
				states := []inspection.ImageState{inspection.ImagePending, inspection.ImageKept, inspection.ImageShed, inspection.ImageLost}
				err = s.mark(t.Context(), []mark{{
					id: key.ID(), ref: "r", sha256: "s", from: rapid.SampledFrom(states).Draw(rt, "from"), to: rapid.SampledFrom(states).Draw(rt, "to"),
				}})
				e = inspection.Entry{}
			case 4:
				_ = s.Dispose(t.Context(), key.ID(), inspection.Disposition{Kind: inspection.JudgedBad, Operator: "op"}) // may be unknown
				e = inspection.Entry{}
			}
			if e.Key != (inspection.FrameKey{}) {
				err = s.Commit(t.Context(), []inspection.Entry{e})
			}
			if err != nil {
				rt.Fatalf("step: %v", err)
			}
		}
		if wrong, err := recount(t.Context(), s); err != nil || wrong != "" {
			rt.Fatalf("sums and rows differ (%v):\n%s", err, wrong)
		}
	})
}
