package inference

import (
	"cmp"
	"container/list"
	"slices"
	"sync"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
)

// maxCameras is how many cameras are remembered; the one that has been silent longest goes first.
const maxCameras = 4096

// camera names one camera.
type camera struct{ line, station, camera string }

// maxHistory is how many of a camera's latest pictures are remembered: frames are decoded by several workers, a little out
// of the order in which the camera took them.
const maxHistory = 64

// repeats remembers each camera's latest pictures, to know a frozen one.
type repeats struct {
	limit int

	mu     sync.Mutex
	recent *list.List // of *pictures, the latest first
	known  map[camera]*list.Element
}

// pictures is one camera's latest pictures.
type pictures struct {
	camera  camera
	session string
	seen    []picture // by rising seq
}

type picture struct {
	seq    uint64 // 0: of the session before
	pixels imaging.Fingerprint
	was    bool // it was itself a repetition
}

func newRepeats(limit int) *repeats {
	return &repeats{limit: limit, recent: list.New(), known: map[camera]*list.Element{}}
}

// see notes a frame's picture and reports whether it equals that of the same camera's frame before, or, where that one was
// decoded first, of the frame after: one of the two is the repetition. Where the frame before is not known (dropped, or not
// decoded yet) the nearest one before it stands for it. The same frame delivered again gets the answer it got.
func (r *repeats) see(key inspection.FrameKey, pixels imaging.Fingerprint) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(camera{key.Line, key.Station, key.Camera}).see(key, pixels)
}

// of returns a camera's history, a new one when there is none.
func (r *repeats) of(id camera) *pictures {
	if e, ok := r.known[id]; ok {
		r.recent.MoveToFront(e)
		return e.Value.(*pictures)
	}
	h := &pictures{camera: id}
	r.known[id] = r.recent.PushFront(h)
	if r.recent.Len() > r.limit {
		oldest := r.recent.Remove(r.recent.Back()).(*pictures)
		delete(r.known, oldest.camera)
	}
	return h
}

func (h *pictures) see(key inspection.FrameKey, pixels imaging.Fingerprint) bool {
	if h.session != key.Session {
		h.session = key.Session
		if n := len(h.seen); n > 0 { // the camera may have been frozen before its client was restarted
			h.seen = []picture{{pixels: h.seen[n-1].pixels}}
		}
	}
	at, again := slices.BinarySearchFunc(h.seen, key.Seq, func(p picture, seq uint64) int { return cmp.Compare(p.seq, seq) })
	if again {
		return h.seen[at].was && h.seen[at].pixels == pixels
	}
	p := picture{seq: key.Seq, pixels: pixels}
	p.was = at > 0 && h.seen[at-1].pixels == pixels ||
		at < len(h.seen) && h.seen[at].seq == key.Seq+1 && h.seen[at].pixels == pixels
	h.seen = slices.Insert(h.seen, at, p)
	if len(h.seen) > maxHistory {
		h.seen = slices.Delete(h.seen, 0, len(h.seen)-maxHistory)
	}
	return p.was
}
