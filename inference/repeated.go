package inference

import (
	"container/list"
	"sync"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
)

// maxCameras is how many cameras are remembered; the one that has been silent longest goes first.
const maxCameras = 4096

// camera names one camera.
type camera struct{ line, station, camera string }

// repeats remembers each camera's last picture, to know a frozen one.
type repeats struct {
	limit int

	mu     sync.Mutex
	recent *list.List // of *lastPicture, the latest first
	known  map[camera]*list.Element
}

type lastPicture struct {
	camera camera
	key    inspection.FrameKey
	pixels imaging.Fingerprint
	was    bool // it was itself a repetition
}

func newRepeats(limit int) *repeats {
	return &repeats{limit: limit, recent: list.New(), known: map[camera]*list.Element{}}
}

// see notes a frame's picture and reports whether it equals the camera's other latest one. The same frame delivered again
// is no repetition of itself: it gets the answer it got. Frames may come a little out of order.
func (r *repeats) see(key inspection.FrameKey, pixels imaging.Fingerprint) bool {
	id := camera{key.Line, key.Station, key.Camera}
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known[id]
	if !ok {
		r.known[id] = r.recent.PushFront(&lastPicture{camera: id, key: key, pixels: pixels})
		if r.recent.Len() > r.limit {
			oldest := r.recent.Remove(r.recent.Back()).(*lastPicture)
			delete(r.known, oldest.camera)
		}
		return false
	}
	r.recent.MoveToFront(e)
	last := e.Value.(*lastPicture)
	if last.key == key {
		return last.was && last.pixels == pixels
	}
	repeated := last.pixels == pixels
	if last.key.Session != key.Session || key.Seq > last.key.Seq {
		last.key, last.pixels, last.was = key, pixels, repeated
	}
	return repeated
}
