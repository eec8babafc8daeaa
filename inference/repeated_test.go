package inference

import (
	"testing"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
)

func TestRepeatsAreSeenPerCamera(t *testing.T) {
	r := newRepeats(3)
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
		{key("a", "x", 3), one, true}, // late by one, and equal to the frame before it
		{key("a", "x", 5), two, true},
		{key("a", "y", 1), two, true}, // the camera's client was restarted, the camera still frozen
		{key("a", "y", 2), one, false},
		{key("c", "x", 1), one, false}, // a fourth session: that of b, silent longest, is forgotten
		{key("b", "x", 2), one, false}, // and a's first one, but not its second
		{key("c", "x", 2), one, true},
		{key("a", "z", 1), one, true},
	} {
		if got := r.see(c.key, c.pixels); got != c.want {
			t.Errorf("step %d, %s: got repeated %v, want %v", i, c.key, got, c.want)
		}
	}
	if r.recent.Len() != 3 || len(r.known) != 3 || len(r.latest) > 3 {
		t.Errorf("got %d and %d histories remembered of %d cameras, want 3", r.recent.Len(), len(r.known), len(r.latest))
	}
	for i := range uint64(10) {
		r.see(key("d", string(rune('a'+i)), 1), imaging.Fingerprint{3, i})
	}
	if r.recent.Len() != 3 || len(r.known) != 3 || len(r.latest) != 1 {
		t.Errorf("after ten sessions of one camera: got %d and %d histories remembered of %d cameras, want 3 of 1", r.recent.Len(), len(r.known), len(r.latest))
	}
}

// Two clients under one name, each with a frozen picture of its own: neither hides that the other one is frozen.
func TestRepeatsOfTwoSessionsOfOneCamera(t *testing.T) {
	r := newRepeats(10)
	x, y := imaging.Fingerprint{1, 1}, imaging.Fingerprint{1, 2}
	see := func(session string, seq uint64, pixels imaging.Fingerprint, want bool) {
		t.Helper()
		key := inspection.FrameKey{Line: "l", Station: "s", Camera: "a", Session: session, Seq: seq}
		if got := r.see(key, pixels); got != want {
			t.Errorf("session %s, frame %d: got repeated %v, want %v", session, seq, got, want)
		}
	}
	see("x", 1, x, false)
	see("y", 1, y, false)
	for seq := uint64(2); seq < 10; seq++ {
		see("x", seq, x, true)
		see("y", seq, y, true)
	}
	see("z", 1, y, true) // a third one begins where the camera was last
}

// Several workers decode, so a frame may come after its successors. Only its own neighbours count.
func TestRepeatsOutOfOrder(t *testing.T) {
	one, two := imaging.Fingerprint{1, 1}, imaging.Fingerprint{1, 2}
	r := newRepeats(1)
	see := func(seq uint64, pixels imaging.Fingerprint, want bool) {
		t.Helper()
		if got := r.see(inspection.FrameKey{Session: "x", Seq: seq}, pixels); got != want {
			t.Errorf("frame %d: got repeated %v, want %v", seq, got, want)
		}
	}
	see(1, one, false)
	see(4, two, false)
	see(2, two, false) // equals 4, which is neither before nor after it
	see(3, one, false) // equals 1, likewise
	see(6, two, true)  // 5 is not known: 4, which is nearest, stands for it
	see(8, one, false)
	see(7, one, true) // one of 7 and 8 is the repetition, and 8 was answered already
	for seq := uint64(9); seq < 9+2*maxHistory; seq++ {
		see(seq, imaging.Fingerprint{2, seq}, false)
	}
	if n := len(r.known[client{session: "x"}].Value.(*pictures).seen); n != maxHistory {
		t.Errorf("%d pictures are remembered, want %d", n, maxHistory)
	}
}
