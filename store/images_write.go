package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/assay-vision/assay/inspection"
)

const (
	groupFiles  = 64          // files that are open at the same time, waiting for their sync
	marksOnHold = 100_000     // marks that wait for the database; what is beyond is reconciled at the next start
	groupTry    = time.Second // how often marks that failed are tried again
)

// Why an image was not kept, as the metric says it.
const (
	causeQueue   = "queue_full"
	causeMinFree = "min_free"
	causeDisk    = "disk_full"
	causeFault   = "write_fault"
	causeDigest  = "digest"
)

// mark is a change of an image's state in its row.
type mark struct {
	id       inspection.ResultID
	from, to inspection.ImageState
	ref      string
	size     int64  // of the file, where one was written
	sha256   string // of the file, where one was written; empty leaves what the row has
}

// written is a file that waits for its sync.
type written struct {
	picture Picture
	file    *os.File
	tmp     string
	size    int64
	sha256  string
}

// write is the goroutine that writes: files as they come, syncs and marks in groups.
func (im *Images) write() {
	g := group{im: im}
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		select {
		case <-im.work:
		case <-timer.C:
			g.finish()
		case <-im.done:
			for g.next() {
			}
			g.finish()
			return
		}
		for g.next() {
			if len(g.files) >= groupFiles || time.Since(g.began) >= im.cfg.SyncEvery {
				g.finish()
			}
		}
		switch {
		case len(g.files) > 0 || len(g.fresh) > 0:
			timer.Reset(max(0, im.cfg.SyncEvery-time.Since(g.began)))
		case len(g.marks) > 0:
			timer.Reset(groupTry)
		}
	}
}

// group is what is written and marked together.
type group struct {
	im    *Images
	files []written
	began time.Time // when its first file was written
	fresh []mark    // of this group
	marks []mark    // all that wait for the database, the fresh ones after finish
}

// next writes one queued picture, and false when none is left.
func (g *group) next() bool {
	im := g.im
	im.mu.Lock()
	p, ok, shed := im.queue.take()
	im.mu.Unlock()
	if len(g.files) == 0 && len(g.fresh) == 0 {
		g.began = time.Now()
	}
	for _, s := range shed {
		g.give(s, inspection.ImageShed, causeQueue)
	}
	if !ok {
		return false
	}
	g.put(p)
	size := int64(p.Data.Len())
	p.Data.Release()
	im.mu.Lock()
	im.queue.bytes -= size
	im.mu.Unlock()
	return true
}

// give up: the picture is not kept.
func (g *group) give(p Picture, to inspection.ImageState, cause string) {
	g.im.m.given.WithLabelValues(to.String(), cause).Inc()
	g.fresh = append(g.fresh, mark{id: p.ID, from: inspection.ImagePending, to: to})
}

// put writes a picture's bytes into a temporary file.
func (g *group) put(p Picture) {
	im := g.im
	free, err := diskFree(im.dir)
	if err != nil {
		free = math.MaxInt64 // then the disk itself says
	}
	if cause := im.noRoom(free, p.Info.Size); cause != "" {
		g.refuse(p, cause, false)
		return
	}
	w, err := im.writeFile(p)
	switch {
	case errors.Is(err, errDigest):
		im.log.Error("an image is not what its result says", "result", p.ID, "frame", p.Key.String(), "error", err)
		g.give(p, inspection.ImageLost, causeDigest)
	case err != nil:
		g.failed(p, err)
	default:
		w.picture.Data = nil
		g.files = append(g.files, w)
	}
}

// failed settles a picture that the disk did not take.
func (g *group) failed(p Picture, err error) {
	if errors.Is(classify(err), inspection.ErrDiskFull) && !errors.Is(err, fs.ErrPermission) {
		g.refuse(p, causeDisk, true)
		return
	}
	g.im.log.Error("an image could not be written", "result", p.ID, "error", err)
	g.give(p, inspection.ImageLost, causeFault)
}

var errDigest = errors.New("size or XXH128 differ")

// writeFile writes a picture, holds it against what its result says and computes its SHA-256. The caller owns the open file.
func (im *Images) writeFile(p Picture) (_ written, err error) {
	w := written{picture: p, tmp: path.Join(tmpDir, fmt.Sprintf("%s.%d", p.ID, im.serial.Add(1)))}
	w.file, err = im.root.OpenFile(w.tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return w, err
	}
	defer func() {
		if err != nil {
			_ = w.file.Close()
			_ = im.root.Remove(w.tmp)
		}
	}()
	sums := newChecksums()
	for part := range slices.Chunk(p.Data.Bytes(), 256<<10) { // that is still in the cache when it is written
		_, _ = sums.Write(part) // never fails
		n, err := w.file.Write(part)
		w.size += int64(n)
		if err != nil {
			return w, err
		}
	}
	if got := sums.xxh128(); w.size != p.Info.Size || got != p.Info.XXH128 {
		return w, fmt.Errorf("%w: %d bytes with %s, the result says %d with %s", errDigest, w.size, got, p.Info.Size, p.Info.XXH128)
	}
	w.sha256 = sums.sha256()
	return w, nil
}

// finish syncs the group's files, gives them their names, and marks what became of every picture.
func (g *group) finish() {
	dirs := map[string][]mark{}
	for _, w := range g.files {
		ref := imagePath(w.picture.ID, w.picture.Received, w.picture.Info.Format)
		if err := g.im.place(w, ref); err != nil {
			_ = g.im.root.Remove(w.tmp)
			g.failed(w.picture, err)
			continue
		}
		if g.im.room.keep() {
			g.im.log.Info("images are kept again")
		}
		dir := path.Dir(ref)
		dirs[dir] = append(dirs[dir], mark{id: w.picture.ID, from: inspection.ImagePending, to: inspection.ImageKept, ref: ref, size: w.size, sha256: w.sha256})
	}
	for dir, marks := range dirs {
		if err := syncDir(filepath.Join(g.im.dir, dir)); err != nil {
			// The names may not outlive a crash: the rows stay pending, and the next start finds out.
			g.im.log.Error("an image folder could not be synced", "folder", dir, "error", err)
			continue
		}
		g.fresh = append(g.fresh, marks...)
	}
	g.files = g.files[:0]
	if room := marksOnHold - len(g.marks); len(g.fresh) > room {
		g.im.log.Error("marks of images are dropped: the rows stay pending until the next start", "images", len(g.fresh)-room)
		g.fresh = g.fresh[:room]
	}
	g.marks, g.fresh = append(g.marks, g.fresh...), g.fresh[:0]
	if len(g.marks) == 0 {
		return
	}
	if err := g.im.mark(context.Background(), g.marks); err != nil {
		g.im.log.Warn("images are written and not marked yet", "images", len(g.marks), "error", err)
		return
	}
	for _, m := range g.marks {
		if m.to == inspection.ImageKept {
			g.im.m.kept.Inc()
			g.im.keptBytes.Add(m.size)
		}
	}
	g.marks = g.marks[:0]
	if g.im.keptBytes.Load() > g.im.budgetEnd.Load() {
		g.im.lookNow()
	}
}

// place makes a written file durable under its name. The file is closed in any case.
func (im *Images) place(w written, ref string) error {
	err := w.file.Sync()
	if cerr := w.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	err = im.root.Rename(w.tmp, ref)
	if errors.Is(err, fs.ErrNotExist) {
		if err := im.makeDay(path.Dir(ref)); err != nil {
			return err
		}
		err = im.root.Rename(w.tmp, ref)
	}
	return err
}

// makeDay makes the folder of a day and syncs what it hangs on.
func (im *Images) makeDay(day string) error {
	if err := im.root.MkdirAll(day, 0o750); err != nil {
		return err
	}
	for d := path.Dir(day); ; d = path.Dir(d) {
		if err := syncDir(filepath.Join(im.dir, d)); err != nil {
			return err
		}
		if d == "." {
			return nil
		}
	}
}

// lookNow asks retention to look before its time.
func (im *Images) lookNow() {
	select {
	case im.shed <- struct{}{}:
	default:
	}
}
