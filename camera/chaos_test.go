package camera

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// ledger is the store behind all nodes of a test: what is recorded, by seq.
type ledger struct {
	mu       sync.Mutex
	c        *rand.Rand
	images   map[uint64]string
	verdicts map[uint64]inspection.Verdict
	doubles  int  // a key that came with another image
	calm     bool // nodes do what they should
}

func (l *ledger) n(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calm {
		return n - 1
	}
	return l.c.IntN(n)
}

func (l *ledger) record(seq uint64, image string) inspection.Verdict {
	v := []inspection.Verdict{inspection.Pass, inspection.Review, inspection.Fail}[l.n(3)]
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.images[seq]; ok {
		if known != image {
			l.doubles++
		}
		return l.verdicts[seq]
	}
	l.images[seq], l.verdicts[seq] = image, v
	return v
}

// moody answers late, twice, not at all, without a record, or breaks the stream, before or after it has recorded.
func (l *ledger) moody(n *fakeNode) {
	n.credits, n.budget = uint32(1+l.n(4)), 20*time.Millisecond
	n.hello = func(*assayv1.Hello) error {
		if l.n(8) == 0 {
			return status.Error(codes.Unavailable, "not now")
		}
		return nil
	}
	n.frame = func(c *call, h *assayv1.FrameHeader) error {
		d := n.deliveries()
		image := d[len(d)-1].image // frames are taken one after the other
		switch l.n(12) {
		case 0:
			return status.Error(codes.Unavailable, "broken before the record")
		case 1:
			l.record(h.Seq, image)
			return status.Error(codes.Unavailable, "broken after the record")
		case 2:
			return c.answer(h.Seq, inspection.Review, false)
		case 3:
			return c.answer(h.Seq, inspection.Pass, false) // no honest node says so
		case 4:
			return nil // no answer
		case 5:
			v := l.record(h.Seq, image)
			time.AfterFunc(time.Duration(l.n(20))*time.Millisecond, func() { _ = c.answer(h.Seq, v, true) })
			return nil
		case 6:
			v := l.record(h.Seq, image)
			return errors.Join(c.answer(h.Seq, v, true), c.answer(h.Seq, v, true))
		}
		return c.answer(h.Seq, l.record(h.Seq, image), true)
	}
}

// TestEveryFrameHasOneOutcome: whatever nodes and connections do, each frame has one verdict, by its deadline as far as
// the machine lets us see, and is in the end recorded under its key with its own image, or dropped and reported.
func TestEveryFrameHasOneOutcome(t *testing.T) {
	var all Stats
	for seed := range uint64(16) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			st := chaos(t, seed)
			all.Recorded += st.Recorded
			all.Dropped += st.Dropped
			all.FellBack += st.FellBack
			all.Sends += st.Sends
			all.Connects += st.Connects
		})
	}
	if all.Recorded < 100 || all.Dropped < 50 || all.FellBack < 50 || all.Sends < all.Recorded+50 || all.Connects < 50 {
		t.Errorf("the nodes were too tame to show anything: %+v", all)
	}
}

func chaos(t *testing.T, seed uint64) Stats {
	const frames = 60
	l := &ledger{c: rand.New(rand.NewPCG(seed, 2)), images: map[uint64]string{}, verdicts: map[uint64]inspection.Verdict{}}
	home, other := newNode(t, l.moody), newNode(t, l.moody)
	s := testStream(t, func(c *StreamConfig) {
		c.Policy, c.MaxFrames, c.MaxBytes = Policy(l.n(3)), 1+l.n(20), int64(20+l.n(200))
		c.Stall, c.HomeRetry = 10*time.Millisecond, time.Duration(5+l.n(20))*time.Millisecond
	}, home.addr, other.addr)

	var freed atomic.Int64
	tickets := make([]*Ticket, frames)
	for i := range tickets {
		image := fmt.Sprint("image ", i+1)
		f := picture(image)
		f.Image.Data = inspection.NewBuffer(func() { freed.Add(1) }, []byte(image))
		f.Budget = time.Duration(1+l.n(30)) * time.Millisecond
		tickets[i] = send(t, s, f)
		f.Image.Data.Release()
		if l.n(3) == 0 {
			verdict(t, tickets[i])
		}
	}
	early := make([]Outcome, frames)
	for i, ticket := range tickets {
		early[i] = verdict(t, ticket)
	}
	l.mu.Lock()
	l.calm = true
	l.mu.Unlock()
	closeDrained(t, s)
	gone := map[uint64]bool{}
	announced := map[uint64]inspection.Verdict{}
	for _, n := range []*fakeNode{home, other} {
		as, ds := n.notes()
		for _, d := range ds {
			for seq := d.FirstSeq; seq <= d.LastSeq; seq++ {
				gone[seq] = true
			}
		}
		for _, a := range as {
			announced[a.Seq] = inspection.Verdict(a.Verdict)
		}
		if n.over > 0 {
			t.Errorf("%d frames were sent without a credit", n.over)
		}
	}
	for i, ticket := range tickets {
		o, seq := settled(t, ticket), uint64(i+1)
		image, recorded := l.images[seq]
		switch {
		case o.Frame.Key.Seq != seq:
			t.Errorf("frame %d settled as %d", seq, o.Frame.Key.Seq)
		case o.Verdict != early[i].Verdict || o.FellBack != early[i].FellBack || o.Latency != early[i].Latency:
			t.Errorf("frame %d: the verdict changed from %+v to %+v", seq, early[i], o)
		case o.Recorded == o.Dropped || o.Dropped != gone[seq]:
			t.Errorf("frame %d: recorded %v, dropped %v, reported as dropped %v: want one of them", seq, o.Recorded, o.Dropped, gone[seq])
		case o.Recorded && (!recorded || image != fmt.Sprint("image ", seq)):
			t.Errorf("frame %d is recorded with %q, %v", seq, image, recorded)
		case o.Verdict == inspection.Pass && l.verdicts[seq] != inspection.Pass:
			t.Errorf("frame %d was passed, recorded is %s", seq, l.verdicts[seq])
		case o.Recorded && o.FellBack && (announced[seq] != o.Verdict || !o.Announced):
			t.Errorf("frame %d fell back to %s, announced is %s (%v)", seq, o.Verdict, announced[seq], o.Announced)
		}
	}
	if freed.Load() != frames || l.doubles > 0 {
		t.Errorf("%d of %d images given back, %d keys came with another image", freed.Load(), frames, l.doubles)
	}
	st := s.Stats()
	if st.Kept != 0 || st.KeptBytes != 0 || st.Unrecorded != 0 || st.Frames != frames {
		t.Errorf("stats after Close: %+v", st)
	}
	return st
}

func TestNotes(t *testing.T) {
	ns := newNotes()
	drop := func(first, last uint64, reason string) *note {
		return ns.drop(inspection.Drop{First: first, Last: last, Reason: reason})
	}
	told := func(seq uint64) *note {
		ticket := &Ticket{}
		ticket.outcome.Frame.Key.Seq = seq
		return ns.announce(ticket, inspection.Announcement{Verdict: inspection.Fail})
	}
	drop(1, 1, "A")
	drop(2, 2, "A")
	drop(3, 3, "B") // another reason
	drop(5, 5, "B") // a gap
	first := ns.next()
	if first.drop.First != 1 || first.drop.Last != 2 {
		t.Errorf("first note is %+v, want 1 to 2", first.drop)
	}
	ns.next()
	ns.next()
	ns.again(0) // the connection was lost
	if got := ns.len(); got != 3 || len(ns.waiting) != 3 {
		t.Errorf("%d notes, %d waiting, want 3 to be sent again", got, len(ns.waiting))
	}
	drop(6, 6, "B") // must not grow one that was on its way
	for n := ns.next(); n != nil; n = ns.next() {
		if n.drop.First == 5 && n.drop.Last != 5 {
			t.Errorf("a drop that was sent grew to %d", n.drop.Last)
		}
	}
	ns.acknowledge(&assayv1.Recorded{Dropped: []uint64{1, 3, 5, 6, 99}})
	if ns.len() != 0 {
		t.Errorf("%d notes left, want none", ns.len())
	}

	for seq := uint64(1); seq <= maxNotesSent+5; seq++ {
		told(seq)
	}
	sent := 0
	for ns.next() != nil {
		sent++
	}
	if sent != maxNotesSent {
		t.Errorf("%d notes on their way, want %d", sent, maxNotesSent)
	}
	if done := ns.acknowledge(&assayv1.Recorded{Announced: []uint64{1, 2, 1}}); len(done) != 2 {
		t.Errorf("%d announcements acknowledged, want 2", len(done))
	}
	var discarded *note
	for seq := uint64(1000); discarded == nil; seq++ {
		discarded = told(seq)
	}
	if ns.len() != maxNotes || len(ns.open) != maxNotes {
		t.Errorf("%d notes, %d open, want %d", ns.len(), len(ns.open), maxNotes)
	}
	ns = newNotes()
	for seq := uint64(1); seq <= inspection.MaxDrop+1; seq++ {
		drop(seq, seq, "A")
	}
	if n := ns.next(); n.drop.Last != inspection.MaxDrop || ns.len() != 2 {
		t.Errorf("first drop ends at %d in %d notes, want %d in 2", n.drop.Last, ns.len(), inspection.MaxDrop)
	}
}
