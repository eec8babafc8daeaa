package custody

import (
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// ledger remembers what left for the line without a record, until the camera sends the frame again and it is recorded
// with the judgement. It is bounded: the oldest key is forgotten first, which costs nothing but the announcement, for the
// camera reports what it acted on by itself.
type ledger struct {
	mu    sync.Mutex
	limit int
	told  map[inspection.FrameKey]inspection.Announcement
	order []inspection.FrameKey // as added; may name keys that were taken
}

func newLedger(limit int) *ledger {
	return &ledger{limit: limit, told: map[inspection.FrameKey]inspection.Announcement{}}
}

// add remembers announcements, of which the most careful stands for all, and returns how many keys were forgotten.
func (l *ledger) add(key inspection.FrameKey, as ...inspection.Announcement) (forgotten int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range as {
		known, ok := l.told[key]
		if !ok {
			l.order = append(l.order, key)
		}
		if !ok || a.Verdict.MoreCareful(known.Verdict) {
			l.told[key] = a
		}
	}
	// Keys that were taken leave the order here too, so that it stays within twice the limit.
	for len(l.told) > l.limit || len(l.order) > 2*l.limit {
		if _, ok := l.told[l.order[0]]; ok {
			delete(l.told, l.order[0])
			forgotten++
		}
		l.order = l.order[1:]
	}
	return forgotten
}

// take returns what was told of a key and forgets it.
func (l *ledger) take(key inspection.FrameKey) []inspection.Announcement {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.told[key]
	if !ok {
		return nil
	}
	delete(l.told, key)
	return []inspection.Announcement{a}
}
