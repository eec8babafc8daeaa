//go:build gocv_specific_modules

package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-vision/assay/camera"
)

// TestSIGTERMAnswersWhatIsIn ends a node that holds frames, most of which nobody judged yet: each is judged, recorded and
// answered at its first delivery, and the program ends with status 0.
func TestSIGTERMAnswersWhatIsIn(t *testing.T) {
	const frames = distinct // none looks like another, which the recipe would refuse
	s := newSite(t, "", generous)
	s.set = []string{fmt.Sprintf("limits.stream_credits=%d", frames), "inference.threads=1"}
	node := s.start().ready()
	stream, src := s.connect(), newParts(t, frames)
	tickets := s.send(stream, src, frames)
	s.until("the node holds every frame", func() bool {
		_, metrics := s.get("/metrics")
		return strings.Contains(metrics, fmt.Sprintf("\nassay_server_frames_received_total %d\n", frames))
	})
	open := frames - int(stream.Stats().Answers)
	if open == 0 {
		t.Fatal("every frame is answered before SIGTERM: nothing is left to drain")
	}
	node.terminate(drainTime)

	outcomes := map[uint64]camera.Outcome{}
	for _, o := range s.settled(tickets) {
		outcomes[o.Frame.Key.Seq] = o
		if o.Answer == nil || o.Sends != 1 || o.FellBack {
			t.Errorf("frame %s: %d sends, fell back %t: want the node's answer to the first", o.Frame.Key, o.Sends, o.FellBack)
		}
	}
	s.closeStream(stream)
	sum := s.prove(expected{session: stream.Session(), outcomes: outcomes, picture: src.picture})
	if sum.rows != frames || sum.judged != frames || sum.kept != frames {
		t.Errorf("%d results, %d judged by the model, %d images kept; want %d of each; not judged: %v", sum.rows, sum.judged, sum.kept, frames, sum.unjudged)
	}
	if log := node.log.String(); strings.Contains(log, "level=ERROR") {
		t.Error("the node's log has errors")
	}
	t.Logf("%d of %d frames were open at SIGTERM; all are answered, recorded and judged", open, frames)
}
