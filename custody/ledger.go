package custody

import (
	"container/list"
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// ledger remembers what left for the line without a record, until the camera sends the frame again and it is recorded
// with the judgement. It is bounded: the oldest key is forgotten first, which costs nothing but the announcement, for the
// camera reports what it acted on by itself.
type ledger struct {
	mu    sync.Mutex
	limit int
	order *list.List // of *debt, the oldest first
	told  map[inspection.FrameKey]*list.Element
}

// debt is what was told of one key and is not recorded yet.
type debt struct {
	key  inspection.FrameKey
	told inspection.Announcement
}

func newLedger(limit int) *ledger {
	return &ledger{limit: limit, order: list.New(), told: map[inspection.FrameKey]*list.Element{}}
}

// add remembers announcements, of which the most careful stands for all, and returns how many keys were forgotten.
func (l *ledger) add(key inspection.FrameKey, as ...inspection.Announcement) (forgotten int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range as {
		if e, ok := l.told[key]; !ok {
			l.told[key] = l.order.PushBack(&debt{key: key, told: a})
		} else if d := e.Value.(*debt); a.Verdict.MoreCareful(d.told.Verdict) {
			d.told = a
		}
	}
	for ; l.order.Len() > l.limit; forgotten++ {
		delete(l.told, l.order.Remove(l.order.Front()).(*debt).key)
	}
	return forgotten
}

// take returns what was told of a key and forgets it.
func (l *ledger) take(key inspection.FrameKey) []inspection.Announcement {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.told[key]
	if !ok {
		return nil
	}
	delete(l.told, key)
	return []inspection.Announcement{l.order.Remove(e).(*debt).told}
}
