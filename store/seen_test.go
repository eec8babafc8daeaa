package store

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
)

func seenKey(session int, seq uint64) inspection.FrameKey {
	return inspection.FrameKey{Line: "l", Station: "s", Camera: "c", Session: fmt.Sprint(session), Seq: seq}
}

func seenEntry(key inspection.FrameKey) inspection.Entry {
	return inspection.Entry{Key: key, Frame: &inspection.Frame{Key: key}, Judgement: &inspection.Judgement{
		Verdict: inspection.Pass, Source: inspection.SourceModel, Model: inspection.ModelRef{Digest: "d"},
	}}
}

// TestSeenAgreesWithTheDatabase: whatever is recorded, refused, forgotten and restarted in whatever order, a look-up says
// what the database says, and what is remembered never calls a row new.
func TestSeenAgreesWithTheDatabase(t *testing.T) {
	answered := 0
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		open := func() *Store {
			s, err := Open(t.Context(), Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				rt.Fatal(err)
			}
			s.seen = newSeen(2)
			return s
		}
		s := open()
		defer func() { _ = s.Close() }()
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			key := seenKey(rapid.IntRange(1, 3).Draw(rt, "session"), rapid.Uint64Range(1, 5).Draw(rt, "seq"))
			var err error
			switch rapid.IntRange(0, 8).Draw(rt, "what") {
			case 0, 1:
				err = s.Commit(t.Context(), []inspection.Entry{seenEntry(key), seenEntry(seenKey(1, 3))})
			case 2:
				err = s.Commit(t.Context(), []inspection.Entry{{Key: key, Announcement: &inspection.Announcement{Verdict: inspection.Review, Source: inspection.SourceCamera}}})
			case 3:
				err = s.Commit(t.Context(), []inspection.Entry{{Drop: &inspection.Drop{Key: key, First: key.Seq, Last: key.Seq + 2}}})
			case 4: // nothing of it is recorded: the second entry has no result
				err = s.Commit(t.Context(), []inspection.Entry{seenEntry(key), {Key: seenKey(9, 1), Judgement: seenEntry(key).Judgement}})
				if errors.Is(err, inspection.ErrNotFound) {
					err = nil
				}
			case 5:
				if err = s.Close(); err == nil {
					s = open()
				}
			default:
				_, _ = s.Lookup(t.Context(), key)
			}
			if err != nil {
				rt.Fatal(err)
			}
			for session := range 3 {
				for seq := uint64(1); seq <= 8; seq++ {
					key := seenKey(session+1, seq)
					r, want := s.get(t.Context(), s.asks, key.ID())
					above := false
					if k := s.seen.of[seenKey(session+1, 0)]; k != nil && k.state == seenKnown {
						above = seq > k.last
					}
					if above && want == nil {
						rt.Fatalf("%s has a row and is called new", key)
					}
					if above {
						answered++
					}
					if rapid.IntRange(0, 7).Draw(rt, "ask") > 0 {
						continue
					}
					found := want == nil && !r.stub
					if _, err := s.Lookup(t.Context(), key); (err == nil) != found || err != nil && !errors.Is(err, inspection.ErrNotFound) {
						rt.Fatalf("look %s up: %v, the database has it: %v", key, err, found)
					}
				}
			}
		}
	})
	if answered == 0 {
		t.Error("nothing was ever answered from memory")
	}
}

// TestSeenWhileRecording: with more sessions than are remembered, recorded and looked up at once, a frame is found from
// the moment on that its commit returned.
func TestSeenWhileRecording(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	s.seen = newSeen(3)
	const sessions, frames = 6, 40
	var done [sessions]atomic.Uint64
	var all, writers sync.WaitGroup
	stop := make(chan struct{})
	for session := range sessions {
		writers.Go(func() {
			for seq := uint64(1); seq <= frames; seq++ {
				if _, err := s.Lookup(t.Context(), seenKey(session, seq)); !errors.Is(err, inspection.ErrNotFound) {
					t.Errorf("session %d: frame %d is not recorded yet: %v", session, seq, err)
				}
				if err := s.Commit(t.Context(), []inspection.Entry{seenEntry(seenKey(session, seq))}); err != nil {
					t.Error(err)
					return
				}
				done[session].Store(seq)
			}
		})
	}
	for worker := range 4 {
		all.Go(func() {
			for session := worker % sessions; ; session = (session + 1) % sessions {
				select {
				case <-stop:
					return
				default:
				}
				seq := done[session].Load()
				if seq == 0 {
					continue
				}
				if _, err := s.Lookup(t.Context(), seenKey(session, seq)); err != nil {
					t.Errorf("session %d: frame %d was recorded: %v", session, seq, err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	all.Wait()
}

// TestSeenLearnsBetweenTransactions: a session that is being written to cannot be learnt from the database, which does not
// have yet what is on its way.
func TestSeenLearnsBetweenTransactions(t *testing.T) {
	s := newSeen(3)
	e := seenEntry(seenKey(1, 5))
	done := s.writing([]item{{Entry: &e}, {Entry: &e}})
	if above, learn := s.above(seenKey(1, 9)); above || learn {
		t.Errorf("during a transaction: above %v, learn %v; want neither", above, learn)
	}
	done()
	if above, learn := s.above(seenKey(1, 9)); above || !learn {
		t.Errorf("after it: above %v, learn %v; want it to be learnt", above, learn)
	}
	written := s.writing([]item{{Entry: &inspection.Entry{Drop: &inspection.Drop{Key: seenKey(1, 0), First: 6, Last: 8}}}})
	defer written()
	if above, learn := s.above(seenKey(1, 9)); above || learn {
		t.Errorf("while it is learnt: above %v, learn %v; want neither", above, learn)
	}
	s.learnt(seenKey(1, 9), 5, seenKnown)
	for seq, want := range map[uint64]bool{5: false, 8: false, 9: true} {
		if above, learn := s.above(seenKey(1, seq)); above != want || learn {
			t.Errorf("frame %d of a session that is written up to 8: above %v, learn %v; want %v", seq, above, learn, want)
		}
	}
}
