package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// ballast is a file that does nothing but take room. On a disk without a free byte the database cannot even note that an
// image is given up, so nothing could ever be given up: then the ballast goes first.
type ballast struct {
	path string
	size int64

	mu   sync.Mutex
	held bool
}

// take makes the file, where free bytes beyond reserve allow it. It costs a write of size once, and nothing when it is there.
func (b *ballast) take(dir string, reserve int64) error {
	if b.isHeld() {
		return nil
	}
	if info, err := os.Stat(b.path); err != nil || info.Size() != b.size {
		free, err := diskFree(dir)
		if err != nil || free < 2*b.size+reserve { // retention makes that room: see over
			return err
		}
		if err := writeSynced(b.path, make([]byte, b.size)); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.held = true
	b.mu.Unlock()
	return nil
}

// isHeld reports whether the room is still taken. While it is not, it belongs to the database alone.
func (b *ballast) isHeld() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// throw removes the file and reports whether that made room.
func (b *ballast) throw() bool {
	b.mu.Lock()
	b.held = false
	b.mu.Unlock()
	return os.Remove(b.path) == nil
}

// mark marks images in their rows, and throws the ballast when the disk has no room for that.
func (im *Images) mark(ctx context.Context, marks []mark) error {
	err := im.store.mark(ctx, marks)
	if errors.Is(err, inspection.ErrDiskFull) && im.ballast.throw() {
		im.log.Warn("the data disk is full: the ballast made room to give images up; see to the disk", "bytes", im.ballast.size)
		im.lookNow()
		err = im.store.mark(ctx, marks)
	}
	return err
}

// restoreBallast makes the ballast again when there is room for it.
func (im *Images) restoreBallast() {
	if err := im.ballast.take(im.dir, im.cfg.MinFree); err != nil {
		im.log.Warn("the ballast could not be written", "file", im.ballast.path, "error", err)
	}
}

func newBallast(dataDir string, size int64) *ballast {
	return &ballast{path: filepath.Join(dataDir, ballastFile), size: size}
}
