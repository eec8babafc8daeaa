package custody

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-vision/assay/inspection"
)

func TestGroupIsWhatArrivedDuringTheLastCommit(t *testing.T) {
	change := func(c *Config, s *memStore) {
		c.CommitGroup = 3
		s.commit = func([]inspection.Entry) (time.Duration, error) { return 10 * time.Millisecond, nil }
	}
	onBench(t, after(0, inspection.Pass), change, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for seq := uint64(1); seq <= 6; seq++ {
			wg.Go(func() { b.inspect(t, newJob(seq, "a")) })
			synctest.Wait()
		}
		wg.Wait()
		if diff := cmp.Diff([]int{1, 3, 2}, b.store.groups); diff != "" {
			t.Errorf("entries of each commit: the first alone, then what arrived, at most 3 (-want +got):\n%s", diff)
		}
	})
}

// One entry that the store refuses must not take its neighbours with it.
func TestRefusedEntryFailsAlone(t *testing.T) {
	poison := newJob(2, "").Frame.Key
	change := func(_ *Config, s *memStore) {
		s.commit = func(es []inspection.Entry) (time.Duration, error) {
			for _, e := range es {
				if e.Key == poison {
					return time.Millisecond, errors.New("constraint failed")
				}
			}
			return 5 * time.Millisecond, nil
		}
	}
	onBench(t, after(0, inspection.Pass), change, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for seq := uint64(1); seq <= 4; seq++ {
			wg.Go(func() {
				a := b.inspect(t, newJob(seq, "a"))
				if want := seq != poison.Seq; a.Recorded != want {
					t.Errorf("frame %d: recorded=%v, want %v", seq, a.Recorded, want)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
	})
}

func TestReserve(t *testing.T) {
	r := newReserve(25 * time.Millisecond)
	for range early - 1 {
		r.add(time.Millisecond)
	}
	if often, nearly := r.p70(), r.p99(); often != 25*time.Millisecond || nearly != often {
		t.Errorf("after %d samples: %v and %v, want the configured 25ms", early-1, often, nearly)
	}
	r.add(2 * time.Millisecond)
	if often, nearly := r.p70(), r.p99(); often != time.Millisecond || nearly != 2*time.Millisecond {
		t.Errorf("after %d samples: %v and %v, want what most took and the longest", early, often, nearly)
	}
	r = newReserve(25 * time.Millisecond)
	order := rand.New(rand.NewPCG(1, 1)).Perm(512)
	for _, i := range order {
		r.add(time.Duration(i+1) * time.Millisecond)
	}
	if often, nearly := r.p70(), r.p99(); often != 359*time.Millisecond || nearly != 507*time.Millisecond { // ceil(0.7 * 512) and of 0.99
		t.Errorf("of 1..512 ms: %v and %v, want 359ms and 507ms", often, nearly)
	}
	for range 512 {
		r.add(time.Millisecond)
	}
	if got := r.p99(); got != time.Millisecond {
		t.Errorf("once the old samples are gone: %v, want 1ms", got)
	}
}

// The reserve follows the store: decide_by moves away from the deadline as commits get slower.
func TestDecideByFollowsTheStore(t *testing.T) {
	onBench(t, after(0, inspection.Pass), slowCommit(40*time.Millisecond), func(t *testing.T, b *bench) {
		before := time.Until(b.decideBy(newJob(1, "a")))
		for seq := uint64(1); seq <= refresh; seq++ {
			b.inspect(t, newJob(seq, "a"))
		}
		got := time.Until(b.decideBy(newJob(1, "a")))
		if want := budget - time.Millisecond - 40*time.Millisecond; got != want || before <= got {
			t.Errorf("decide_by %v after receipt, %v before; want %v, earlier than before", got, before, want)
		}
		hasty := newJob(1, "a")
		hasty.Deadline = hasty.Received.Add(8 * time.Millisecond)
		// The reserve takes no more than half of what the margin leaves.
		if got, want := b.decideBy(hasty).Sub(hasty.Received), 3500*time.Microsecond; got != want {
			t.Errorf("decide_by %v after receipt with a budget of 8ms, want %v", got, want)
		}
	})
}

func TestLedgerForgetsTheOldest(t *testing.T) {
	l := newLedger(2)
	key := func(seq uint64) inspection.FrameKey { return inspection.FrameKey{Seq: seq} }
	say := func(v inspection.Verdict) inspection.Announcement { return inspection.Announcement{Verdict: v} }
	l.add(key(1), say(inspection.Review), say(inspection.Fail), say(inspection.Undetermined))
	l.add(key(2), say(inspection.Review))
	if n := l.add(key(3), say(inspection.Review)); n != 1 {
		t.Errorf("forgot %d keys, want 1", n)
	}
	if got := l.take(key(1)); got != nil {
		t.Errorf("key 1 is still known as %v", got)
	}
	for _, seq := range []uint64{2, 3} {
		if got := l.take(key(seq)); len(got) != 1 {
			t.Errorf("key %d: got %v, want one announcement", seq, got)
		}
	}
	if got := l.take(key(3)); got != nil {
		t.Errorf("key 3 was taken and is still known as %v", got)
	}
	l.add(key(4), say(inspection.Review), say(inspection.Fail))
	if got := l.take(key(4)); len(got) != 1 || got[0].Verdict != inspection.Fail {
		t.Errorf("got %v, want the most careful one, FAIL", got)
	}
	for seq := range uint64(100) {
		l.add(key(seq), say(inspection.Review))
		l.take(key(seq))
	}
	if l.order.Len() != 0 || len(l.told) != 0 {
		t.Errorf("ledger of 2 holds an order of %d and %d keys after all were taken", l.order.Len(), len(l.told))
	}
}

// A frame that comes again and again while nothing can be recorded is told anew each time: what is told last is neither
// older than it is nor too much.
func TestLedgerKeepsWhatIsToldAgain(t *testing.T) {
	l := newLedger(3)
	key := func(seq uint64) inspection.FrameKey { return inspection.FrameKey{Seq: seq} }
	review := inspection.Announcement{Verdict: inspection.Review}
	l.add(key(1), review)
	l.add(key(2), review)
	for range 100 {
		l.take(key(1))
		if n := l.add(key(1), review); n != 0 {
			t.Fatalf("forgot %d keys, want none: 2 of 3 are told", n)
		}
	}
	l.add(key(3), review)
	if n := l.add(key(4), review); n != 1 || l.take(key(2)) != nil {
		t.Errorf("forgot %d keys, want the second alone: it is the oldest", n)
	}
	for _, seq := range []uint64{1, 3, 4} {
		if got := l.take(key(seq)); len(got) != 1 {
			t.Errorf("key %d: got %v, want one announcement", seq, got)
		}
	}
}

// A full disk refuses everything: the group is not tried again write by write.
func TestFullDiskIsAskedOnceAGroup(t *testing.T) {
	var commits atomic.Int64
	change := func(_ *Config, s *memStore) {
		s.commit = func([]inspection.Entry) (time.Duration, error) {
			commits.Add(1)
			return time.Millisecond, inspection.ErrDiskFull
		}
	}
	onBench(t, after(0, inspection.Pass), change, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for seq := uint64(1); seq <= 5; seq++ {
			wg.Go(func() { b.inspect(t, newJob(seq, "a")) })
			synctest.Wait()
		}
		wg.Wait()
		if got := commits.Load(); got != 2 {
			t.Errorf("%d commits, want 2: the first write, then the group of the other four", got)
		}
	})
}
