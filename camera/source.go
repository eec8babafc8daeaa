package camera

import (
	"context"
	"errors"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// ErrShot marks an error about one picture: the message names it and the remedy, and the source goes on.
var ErrShot = errors.New("bad picture")

// Shot is one picture from a source, with what the source knows of it. Frame.Key and Frame.Attempt are not set: the
// stream numbers frames. The receiver owns one reference to Frame.Image.Data.
type Shot struct {
	Name  string    // the file's name, or the place in a film: for people
	Due   time.Time // when a paced source meant the picture to be there; zero where nothing keeps time
	Frame inspection.Frame

	// ticket is the source's own, by which Settle knows a shot again: two shots may have one name. 0 is none.
	mark uint64
}

// Source yields pictures in order. Next returns io.EOF when there are no more; any other error ends the source, unless it
// wraps ErrShot: then only this picture is bad, the shot that comes with the error holds its Name, what is known of the
// frame and no image, and Next may be called again. Where ctx ends first, Next returns its error and loses no picture.
// One goroutine at a time calls Next and Close; after Close, which may be called twice, Next fails with
// inspection.ErrClosed.
type Source interface {
	Next(ctx context.Context) (Shot, error)
	Close() error
}

// Settler is a Source that wants to know what became of each shot, in any order and from any goroutine, also after Close:
// recorded says that a node has the frame on disk. A shot of Next is settled once; one that came with ErrShot is settled
// already. Settle may be called again after an error.
type Settler interface {
	Settle(shot Shot, recorded bool) error
}

// Sized is a Source that knows beforehand how many shots it yields in all, bad ones included: for progress bars. -1 means
// that nobody can tell.
type Sized interface {
	Len() int
}

// wrapped is what every wrapper passes on to the source inside.
type wrapped struct{ source Source }

// Settle passes on to the source inside; where that does not want to know, it does nothing.
func (w wrapped) Settle(shot Shot, recorded bool) error {
	if s, ok := w.source.(Settler); ok {
		return s.Settle(shot, recorded)
	}
	return nil
}

// Len is the number of shots of the source inside, and -1 where that cannot tell.
func (w wrapped) Len() int { return lenOf(w.source) }

// Close closes the source inside.
func (w wrapped) Close() error { return w.source.Close() }

func lenOf(s Source) int {
	if sized, ok := s.(Sized); ok {
		return sized.Len()
	}
	return -1
}
