package camera

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Why frames were dropped, in the words that a node records.
const (
	reasonOldest   = "DROP_OLDEST"
	reasonNewest   = "DROP_NEWEST"
	reasonTooLarge = "TOO_LARGE"
	reasonInvalid  = "INVALID"
	reasonClosed   = "CLOSED"
	reasonNoImage  = "NO_IMAGE"
)

var errFull = fmt.Errorf("%w: the stream keeps as many frames as it may and no node records them fast enough", inspection.ErrOverloaded)

// What follows is called with mu held, but for expire.

// expire is the camera's own clock: it gives a frame without an answer the fallback.
func (s *Stream) expire(k *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !k.given {
		s.fallBack(k.Ticket, inspection.ReasonDeadline)
	}
}

// fallBack makes the recipe's fallback the verdict of a frame that has none, and announces it.
func (s *Stream) fallBack(t *Ticket, reason inspection.Reason) {
	v := s.termsOf(t.outcome.Frame.Recipe).fallback
	if !t.act(v, inspection.SourceCamera, reason) {
		return
	}
	s.stats.FellBack++
	s.announce(t)
	s.ring()
}

// announce has a node record what the gate was told.
func (s *Stream) announce(t *Ticket) {
	o := &t.outcome
	s.forget(s.notes.announce(t, inspection.Announcement{Verdict: o.Verdict, Reason: o.Reason, At: time.Now()}))
}

// answered takes a node's answer to a frame.
func (s *Stream) answered(k *kept, a inspection.Answer) {
	s.stats.Answers++
	k.link = nil
	k.outcome.Answer = &a
	if a.Verdict == inspection.Pass && !a.Recorded {
		// No node that keeps its promises says so. Nothing passes on it.
		s.fallBack(k.Ticket, inspection.ReasonNotRecorded)
	} else {
		k.act(a.Verdict, a.Effect.Source, a.Effect.Reason)
	}
	switch {
	case a.Recorded:
		s.stats.Recorded++
		// The line acted on an answer that was not recorded, and it was another node, or the same after a restart, that
		// recorded a milder one.
		if k.outcome.Verdict.MoreCareful(a.Verdict) && s.notes.open[k.frame.Key.Seq] == nil && !k.outcome.FellBack {
			s.announce(k.Ticket)
		}
		k.outcome.Recorded = true
		s.remove(k)
		s.settle(k.Ticket)
	case a.Effect.Reason == inspection.ReasonInvalid:
		s.giveUp(k, reasonInvalid, fmt.Errorf("%w: the node says: %s", inspection.ErrInvalid, a.Judgement.Detail))
	default:
		k.resend = time.Now().Add(s.cfg.ResendMin << min(k.refusals, 16))
		if most := time.Now().Add(s.cfg.ResendMax); k.resend.After(most) {
			k.resend = most
		}
		k.refusals++
	}
	s.ring()
}

// unanswered takes back a frame whose delivery ended without an answer.
func (s *Stream) unanswered(k *kept) {
	k.link = nil
	k.frame.Attempt++
}

// giveUp lets a frame go.
func (s *Stream) giveUp(k *kept, reason string, err error) {
	s.remove(k)
	s.dropped(k.Ticket, reason, err)
}

// dropped settles a frame that no node will record and reports the gap, with what the gate was told. A fault of the frame
// itself is UNDETERMINED, as it would be on the node; a frame that was given up for want of room or time gets the fallback.
func (s *Stream) dropped(t *Ticket, reason string, err error) {
	o := &t.outcome
	o.Dropped, o.Err = true, err
	s.stats.Dropped++
	seq := o.Frame.Key.Seq
	s.forget(s.notes.drop(inspection.Drop{
		Key: s.key, First: seq, Last: seq, Reason: reason, Simulated: o.Frame.Simulated, At: time.Now(),
		Serial: o.Frame.Serial, Recipe: o.Frame.Recipe, Detail: inspection.CutDetail(err.Error()),
	}))
	v := s.termsOf(o.Frame.Recipe).fallback
	if ownFault(err) {
		v = inspection.Undetermined
	}
	switch {
	case t.act(v, inspection.SourceCamera, dropReason(err)):
		s.stats.FellBack++
		s.announce(t)
	case o.Verdict.MoreCareful(inspection.Undetermined) && s.notes.open[o.Frame.Key.Seq] == nil: // the gap alone says less
		s.announce(t)
	}
	close(t.settled)
	s.ring()
}

// ownFault reports whether a frame was dropped for what it is: a picture that cannot be had, is too large or breaks a rule.
func ownFault(err error) bool {
	return errors.Is(err, ErrShot) || errors.Is(err, inspection.ErrImageTooLarge) || errors.Is(err, inspection.ErrImage) || errors.Is(err, inspection.ErrInvalid)
}

// dropReason is the reason beside the verdict of a dropped frame.
func dropReason(err error) inspection.Reason {
	if errors.Is(err, ErrShot) {
		return inspection.ReasonSourceGap
	}
	return inspection.ReasonFor(err)
}

// settle ends a recorded frame's ticket as soon as what was announced of it is recorded too.
func (s *Stream) settle(t *Ticket) {
	if !t.outcome.Recorded || t.outcome.Dropped || s.notes.open[t.outcome.Frame.Key.Seq] != nil {
		return
	}
	close(t.settled)
	s.ring()
}

// remove takes a frame out of care.
func (s *Stream) remove(k *kept) {
	k.given = true
	if k.timer != nil {
		k.timer.Stop()
	}
	i, _ := s.find(k.frame.Key.Seq)
	s.frames = slices.Delete(s.frames, i, i+1)
	s.bytes -= k.size
	k.frame.Image.Data.Release()
	k.frame.Image.Data = nil
}

// find returns the place of a frame among those in care.
func (s *Stream) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(s.frames, seq, func(k *kept, seq uint64) int {
		switch {
		case k.frame.Key.Seq < seq:
			return -1
		case k.frame.Key.Seq > seq:
			return 1
		}
		return 0
	})
}

// oldest returns the frame that was kept longest, one that is not on its way before one that is. There is at least one.
func (s *Stream) oldest() *kept {
	for _, k := range s.frames {
		if k.link == nil {
			return k
		}
	}
	return s.frames[0]
}

// forget counts a note that had to be discarded, and settles the frame that waited for it.
func (s *Stream) forget(n *note) {
	if n == nil {
		return
	}
	s.stats.Forgotten++
	if n.ticket != nil {
		s.settle(n.ticket)
	}
}

// abandonNotes gives up what could not be recorded before the stream was closed.
func (s *Stream) abandonNotes() {
	open := s.notes.open
	s.stats.Forgotten += uint64(s.notes.len())
	s.notes = newNotes()
	for _, n := range open {
		if n.ticket.outcome.Recorded {
			n.ticket.outcome.Err = fmt.Errorf("record what was announced: %w", inspection.ErrClosed)
			s.settle(n.ticket)
		}
	}
}
