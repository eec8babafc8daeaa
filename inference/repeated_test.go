package inference

import (
	"testing"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
)

func TestRepeatsAreSeenPerCamera(t *testing.T) {
	r := newRepeats(2)
	key := func(camera, session string, seq uint64) inspection.FrameKey {
		return inspection.FrameKey{Line: "l", Station: "s", Camera: camera, Session: session, Seq: seq}
	}
	one, two := imaging.Fingerprint{1, 1}, imaging.Fingerprint{1, 2}
	for i, c := range []struct {
		key    inspection.FrameKey
		pixels imaging.Fingerprint
		want   bool
	}{
		{key("a", "x", 1), one, false},
		{key("b", "x", 1), one, false}, // another camera's picture
		{key("a", "x", 1), one, false}, // delivered again
		{key("a", "x", 2), one, true},
		{key("a", "x", 2), one, true}, // delivered again: the same answer
		{key("a", "x", 4), two, false},
		{key("a", "x", 3), one, false}, // late by one; must not take 4's place
		{key("a", "x", 5), two, true},
		{key("a", "y", 1), two, true}, // the camera's client was restarted, the camera still frozen
		{key("a", "y", 2), one, false},
		{key("c", "x", 1), one, false}, // a third camera: b, silent longest, is forgotten
		{key("b", "x", 2), one, false},
		{key("c", "x", 2), one, true},
	} {
		if got := r.see(c.key, c.pixels); got != c.want {
			t.Errorf("step %d, %s: got repeated %v, want %v", i, c.key, got, c.want)
		}
	}
	if r.recent.Len() != 2 || len(r.known) != 2 {
		t.Errorf("got %d and %d cameras remembered, want 2", r.recent.Len(), len(r.known))
	}
}
