package inference

import (
	"cmp"
	"container/list"
	"slices"
	"sync"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
)

// maxHistories is how many histories are remembered; the one that has been silent longest goes first.
const maxHistories = 4096

// camera names one camera.
type camera struct{ line, station, camera string }

// client names one session of a camera. Two may be live at once: a client that hangs beside the one that was started in its
// place, or two cameras that were given one name.
type client struct {
	camera
	session string
}

// maxHistory is how many of a session's latest pictures are remembered: frames are decoded by several workers, a little out
// of the order in which the camera took them.
const maxHistory = 64

// repeats remembers the latest pictures of each camera's sessions, to know a frozen one.
type repeats struct {
	limit int

	mu     sync.Mutex
	recent *list.List // of *pictures, the latest first
	known  map[client]*list.Element
	latest map[camera]*pictures // the history of each camera's latest frame
}

// pictures is one session's latest pictures.
type pictures struct {
	client client
	seen   []picture // by rising seq; never empty once a frame was seen
}

type picture struct {
	seq    uint64 // 0: of another session, before this one began
	pixels imaging.Fingerprint
	was    bool // it was itself a repetition
}

func newRepeats(limit int) *repeats {
	return &repeats{limit: limit, recent: list.New(), known: map[client]*list.Element{}, latest: map[camera]*pictures{}}
}

// see notes a frame's picture and reports whether it equals that of the same session's frame before, or, where that one was
// decoded first, of the frame after: one of the two is the repetition. Where the frame before is not known (dropped, or not
// decoded yet) the nearest one before it stands for it, and for a session's first frame the camera's latest picture. The same
// frame delivered again gets the answer it got.
func (r *repeats) see(key inspection.FrameKey, pixels imaging.Fingerprint) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(client{camera{key.Line, key.Station, key.Camera}, key.Session}).see(key.Seq, pixels)
}

// of returns a session's history, a new one when there is none.
func (r *repeats) of(id client) *pictures {
	e, ok := r.known[id]
	if ok {
		r.recent.MoveToFront(e)
	} else {
		h := &pictures{client: id}
		if before, ok := r.latest[id.camera]; ok { // the camera may have been frozen before its client was restarted
			h.seen = []picture{{pixels: before.seen[len(before.seen)-1].pixels}}
		}
		e = r.recent.PushFront(h)
		r.known[id] = e
	}
	h := e.Value.(*pictures)
	r.latest[id.camera] = h
	if r.recent.Len() > r.limit {
		r.forget(r.recent.Remove(r.recent.Back()).(*pictures))
	}
	return h
}

// forget drops a history. A camera whose latest history is the one silent longest has no other.
func (r *repeats) forget(h *pictures) {
	delete(r.known, h.client)
	if r.latest[h.client.camera] == h {
		delete(r.latest, h.client.camera)
	}
}

func (h *pictures) see(seq uint64, pixels imaging.Fingerprint) bool {
	at, again := slices.BinarySearchFunc(h.seen, seq, func(p picture, seq uint64) int { return cmp.Compare(p.seq, seq) })
	if again {
		return h.seen[at].was && h.seen[at].pixels == pixels
	}
	p := picture{seq: seq, pixels: pixels}
	p.was = at > 0 && h.seen[at-1].pixels == pixels ||
		at < len(h.seen) && h.seen[at].seq == seq+1 && h.seen[at].pixels == pixels
	h.seen = slices.Insert(h.seen, at, p)
	if len(h.seen) > maxHistory {
		h.seen = slices.Delete(h.seen, 0, len(h.seen)-maxHistory)
	}
	return p.was
}
