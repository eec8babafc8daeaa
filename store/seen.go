package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// seenSessions bounds what is remembered. Beyond it the sessions that nobody asked about for the longest are forgotten.
const seenSessions = 1024

// seen answers the desk's usual question, whether a frame is new, without the database. Of each session that was asked
// about lately it knows a seq above which there is no row. Frames come in the order of their seqs, so that is all it takes.
// The seq is raised before a transaction begins, whatever becomes of it, and read from the database only while no
// transaction that could raise it is on its way: what seen calls new is new.
type seen struct {
	limit int // sessions

	mu   sync.Mutex
	of   map[inspection.FrameKey]*seenSession // by key with a seq of 0
	tick uint64
}

// seenSession is what is known of one session.
type seenSession struct {
	state  seenState
	writes int    // transactions on their way that may add to it; it is not forgotten meanwhile
	used   uint64 // tick of the last use
	last   uint64 // there is no row above it, once known
}

type seenState uint8

const (
	seenUnknown seenState = iota
	seenLearning
	seenKnown
)

func newSeen(limit int) *seen { return &seen{limit: limit, of: map[inspection.FrameKey]*seenSession{}} }

// session returns what is known of a key's session, making room where it is new. Under mu.
func (s *seen) session(key inspection.FrameKey) *seenSession {
	key.Seq = 0
	s.tick++
	k := s.of[key]
	if k == nil {
		if len(s.of) >= s.limit {
			s.forget()
		}
		k = &seenSession{}
		s.of[key] = k
	}
	k.used = s.tick
	return k
}

// forget drops the session that was not used for the longest, if there is one that nobody works on. Under mu.
func (s *seen) forget() {
	var oldest inspection.FrameKey
	found := false
	for key, k := range s.of {
		if k.writes == 0 && k.state != seenLearning && (!found || k.used < s.of[oldest].used) {
			oldest, found = key, true
		}
	}
	if found {
		delete(s.of, oldest)
	}
}

// writing notes the rows that a transaction may make, before it begins. The caller calls done when it has ended, however.
func (s *seen) writing(items []item) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := make([]*seenSession, 0, 4)
	for i := range items {
		key, last := items[i].Key, items[i].Key.Seq
		if d := items[i].Drop; d != nil {
			key, last = d.Key, d.Last
		}
		k := s.session(key)
		k.last = max(k.last, last)
		if !slices.Contains(touched, k) {
			k.writes++
			touched = append(touched, k)
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, k := range touched {
			k.writes--
		}
	}
}

// above reports that a key has no row, for it is above all of its session. learn says that the session is not known, and
// that the caller is the one to read its last seq and to say what it is.
func (s *seen) above(key inspection.FrameKey) (above, learn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.session(key)
	switch {
	case k.state == seenKnown:
		return key.Seq > k.last, false
	case k.state == seenUnknown && k.writes == 0:
		k.state = seenLearning
		return false, true
	}
	return false, false
}

// learnt ends what above asked for.
func (s *seen) learnt(key inspection.FrameKey, last uint64, state seenState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.session(key) // is there: while it is learnt it is not forgotten
	k.last = max(k.last, last)
	k.state = state
}

// isNew reports that a frame has no row, as far as that is known without asking for it.
func (s *Store) isNew(ctx context.Context, key inspection.FrameKey) bool {
	above, learn := s.seen.above(key)
	if !learn {
		return above
	}
	last, err := s.lastSeq(ctx, key)
	if err != nil {
		s.seen.learnt(key, 0, seenUnknown)
		return false
	}
	s.seen.learnt(key, last, seenKnown)
	above, _ = s.seen.above(key)
	return above
}

// idPrefix is the length of what the ids of one session have in common; the rest is the seq.
const idPrefix = 16

// lastSeq reads the last seq of a key's session that has a row; 0 when none has.
func (s *Store) lastSeq(ctx context.Context, key inspection.FrameKey) (last uint64, err error) {
	prefix := string(key.ID()[:idPrefix])
	var id string
	err = s.own.db.QueryRowContext(ctx, "SELECT id FROM results WHERE id > ?1 AND id < ?1 || 'g' ORDER BY id DESC LIMIT 1", prefix).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(id[idPrefix:], 16, 64)
}
