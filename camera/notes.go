package camera

import (
	"time"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

const (
	// maxNotes bounds the announcements and drops that are kept until a node has them; the oldest are discarded first.
	maxNotes = 1 << 16
	// maxNotesSent is how many may be on their way, so that the node goes on reading frames.
	maxNotesSent = 32
	// noteRetry is when a note that was not acknowledged is sent again.
	noteRetry = 5 * time.Second
)

// note is something to be recorded beside the frames: exactly one of announced and drop is set.
type note struct {
	announced *assayv1.Announced
	drop      *inspection.Drop
	ticket    *Ticket // of announced
	sent      time.Time
}

func (n *note) request() *assayv1.InspectRequest {
	if n.announced != nil {
		return &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Announced{Announced: n.announced}}
	}
	return &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Dropped{Dropped: proto.FromDrop(*n.drop)}}
}

// notes keeps them in order until each is acknowledged. The caller holds the stream's mu.
type notes struct {
	waiting   []*note
	announced map[uint64]*note // sent, by seq
	drops     map[uint64]*note // sent, by first seq
	grows     *note            // the last drop, nil where it was discarded
	open      map[uint64]*note // every announcement that is not acknowledged, by seq
}

func newNotes() notes {
	return notes{announced: map[uint64]*note{}, drops: map[uint64]*note{}, open: map[uint64]*note{}}
}

func (ns *notes) len() int { return len(ns.waiting) + len(ns.announced) + len(ns.drops) }

// announce adds what the camera told the gate, and drop frames that it gave up. Both return the note that had to be
// discarded for it, or nil.
func (ns *notes) announce(t *Ticket, a inspection.Announcement) *note {
	seq := t.outcome.Frame.Key.Seq
	n := &note{announced: proto.FromAnnounced(seq, a, t.outcome.Frame.Simulated), ticket: t}
	ns.open[seq] = n
	ns.waiting = append(ns.waiting, n)
	return ns.discard()
}

func (ns *notes) drop(d inspection.Drop) *note {
	// Only a drop that never was on its way may grow: an acknowledgement names it by its first frame alone.
	if last := ns.grows; last != nil && last.sent.IsZero() {
		p, same := last.drop, d
		same.First, same.Last, same.At = p.First, p.Last, p.At
		if same == *p && p.Last+1 == d.First && d.Last-p.First < inspection.MaxDrop {
			p.Last = d.Last
			return nil
		}
	}
	ns.grows = &note{drop: &d}
	ns.waiting = append(ns.waiting, ns.grows)
	return ns.discard()
}

func (ns *notes) discard() *note {
	if ns.len() <= maxNotes {
		return nil
	}
	n := ns.waiting[0]
	ns.waiting = ns.waiting[1:]
	if n.announced != nil {
		delete(ns.open, n.announced.Seq)
	}
	if n == ns.grows {
		ns.grows = nil
	}
	return n
}

// next returns the note to send now, or nil.
func (ns *notes) next() *note {
	if len(ns.waiting) == 0 || len(ns.announced)+len(ns.drops) >= maxNotesSent {
		return nil
	}
	n := ns.waiting[0]
	ns.waiting = ns.waiting[1:]
	n.sent = time.Now()
	if n.announced != nil {
		ns.announced[n.announced.Seq] = n
	} else {
		ns.drops[n.drop.First] = n
	}
	return n
}

// acknowledge forgets what is on a node's disk and returns the announcements among it.
func (ns *notes) acknowledge(r *assayv1.Recorded) []*note {
	var done []*note
	for _, seq := range r.GetAnnounced() {
		if n := ns.announced[seq]; n != nil {
			delete(ns.announced, seq)
			delete(ns.open, seq)
			done = append(done, n)
		}
	}
	for _, first := range r.GetDropped() {
		delete(ns.drops, first)
	}
	return done
}

// again puts what was sent and not acknowledged for that long back in front.
func (ns *notes) again(after time.Duration) {
	var back []*note
	for _, sent := range [...]map[uint64]*note{ns.announced, ns.drops} {
		for id, n := range sent {
			if time.Since(n.sent) >= after {
				delete(sent, id)
				back = append(back, n)
			}
		}
	}
	ns.waiting = append(back, ns.waiting...)
}
