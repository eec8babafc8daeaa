package store

import (
	"fmt"
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// room is what the writer says of the disk's room, to retention and to whoever asks for the status.
type room struct {
	mu       sync.Mutex
	refused  int64 // bytes of pictures without room since retention looked last
	size     int64 // of the last picture that had no room; 0 when one was kept since
	refusing bool  // the disk took no file although there seemed to be room; false when one was kept since
}

// refuse notes a picture without room, and reports whether it is the first since one was kept.
func (r *room) refuse(size int64, refusing bool) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = r.size == 0
	r.refused += size
	r.size, r.refusing = max(size, 1), refusing
	return first
}

// keep notes that the disk took a picture, and reports whether it is the first since one had no room.
func (r *room) keep() (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = r.size > 0
	r.size, r.refusing = 0, false
	return first
}

// wanted returns the bytes of the pictures without room since the last call, at most limit or those of one picture.
func (r *room) wanted(limit int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(r.refused, max(limit, r.size))
	r.refused = 0
	return n
}

// noRoom says why there is no room for a picture of size bytes, empty where there is.
func (im *Images) noRoom(free, size int64) (cause string) {
	switch {
	case !im.ballast.isHeld(): // what room there is, the database needs
		return causeDisk
	case im.cfg.MinFree > 0 && free-size < im.cfg.MinFree:
		return causeMinFree
	}
	return ""
}

// reserve is what must be free before images are kept: MinFree, and twice the ballast while it is still to be made.
func (im *Images) reserve() int64 {
	if im.ballast.isHeld() {
		return im.cfg.MinFree
	}
	return im.cfg.MinFree + 2*im.ballast.size
}

// notKept says what to do so that images are kept again, empty while they are.
func (im *Images) notKept(free int64) (remedy string) {
	im.room.mu.Lock()
	size, refusing := im.room.size, im.room.refusing
	im.room.mu.Unlock()
	if !refusing && im.noRoom(free, size) == "" {
		return ""
	}
	return im.remedy(free, size)
}

// remedy is the next step where there is no room for a picture of size bytes.
func (im *Images) remedy(free, size int64) string {
	const mib = 1 << 20
	missing := im.reserve() + size - free
	mibs := (missing + mib - 1) / mib
	switch {
	case missing <= 0:
		return "the data disk has room: where this stays, see to its quota, its inodes, and that it can be written to"
	case missing <= im.cfg.MinFree:
		return fmt.Sprintf("free %d MiB on the data disk, or lower images.min_free by as much", mibs)
	}
	return fmt.Sprintf("free %d MiB on the data disk", mibs)
}

// refuse gives a picture up for want of room and has retention make some. The log has when that begins; refusing says that
// it was the disk that said so.
func (g *group) refuse(p Picture, cause string, refusing bool) {
	im := g.im
	g.give(p, inspection.ImageShed, cause)
	if im.room.refuse(p.Info.Size, refusing) {
		free, _ := diskFree(im.dir)
		im.log.Warn("no images are kept", "cause", cause, "remedy", im.remedy(free, p.Info.Size), "free", free, "min_free", im.cfg.MinFree)
	}
	im.lookNow()
}
