package decode

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/assay-vision/assay/inspection"
)

// maxFound bounds what one sample may show above the score floor. No picture of a line holds as much: the model is
// broken or its floor too low, and to keep only the best would be to drop evidence unseen.
const maxFound = 10000

// found is a candidate before suppression, its box in frame pixels and not yet clipped.
type found struct {
	class int
	score float64
	box   inspection.Box
	row   int // of the outputs, where the decoder has said it
}

// list takes what a decoder sees in one sample.
type list struct {
	base  *base
	place inspection.Placement
	found []found
	row   []float64 // scores of one row
	masks maskScratch
}

// checkPlacement returns an error that wraps inspection.ErrInvalid where p is no placement.
func checkPlacement(p inspection.Placement) error {
	bad := p.Width < 1 || p.Height < 1
	for _, v := range [...]float64{p.ScaleX, p.ScaleY} {
		bad = bad || !(v > 0) || math.IsInf(v, 0)
	}
	if bad || !finite(p.OffsetX) || !finite(p.OffsetY) {
		return fmt.Errorf("%w: placement %+v: want a frame of 1 pixel or more and scales above 0", inspection.ErrInvalid, p)
	}
	return nil
}

// list returns an empty list for a frame that lies in the input as p says.
func (b *base) list(p inspection.Placement) (*list, error) {
	if err := checkPlacement(p); err != nil {
		return nil, err
	}
	l, _ := b.lists.Get().(*list)
	if l == nil {
		l = new(list)
	}
	l.base, l.place, l.found = b, p, l.found[:0]
	return l, nil
}

// release gives the list back for use by another sample.
func (l *list) release() { l.base.lists.Put(l) }

// add takes one sighting, its box in pixels of the input; see addRow.
func (l *list) add(class int, score float64, box inspection.Box) error {
	return l.addRow(0, class, score, box)
}

// addRow takes one sighting from a row of the outputs, its box in pixels of the input. One that lies wholly outside the frame (in a letterbox's
// border) is left out before suppression, so that it cannot suppress what is inside.
func (l *list) addRow(row, class int, score float64, box inspection.Box) error {
	if !(box.X2 > box.X1 && box.Y2 > box.Y1) || !finite(box.X1+box.Y1+box.X2+box.Y2) {
		return fmt.Errorf("%w: %s with score %.4f has a box without area or end: %v", inspection.ErrModelOutput, l.base.labels[class], score, box)
	}
	box = l.place.ToFrame(box)
	if c := l.place.Clip(box); c.W() <= 0 || c.H() <= 0 {
		return nil
	}
	if len(l.found) == maxFound {
		return fmt.Errorf("%w: more than %d candidates above the score floor of %v: raise output.score_floor, or look at what the model was fed", inspection.ErrModelOutput, maxFound, float32(l.base.floor))
	}
	l.found = append(l.found, found{class: class, score: score, box: box, row: row})
	return nil
}

// candidates suppresses, clips and names what was added, by falling score. Equal scores go by class, then by place in the
// outputs, so that the same outputs always give the same candidates.
func (l *list) candidates() []inspection.Candidate {
	slices.SortStableFunc(l.found, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.class, b.class))
	})
	l.found = suppress(l.found, l.base.nms.IoU, l.base.nms.ClassAgnostic)
	out := make([]inspection.Candidate, len(l.found))
	for i, f := range l.found {
		out[i] = inspection.Candidate{Class: l.base.labels[f.class], Score: decimal(f.score), Box: l.place.Clip(f.box)}
	}
	return out
}

// suppress is greedy non-maximum suppression of what is sorted by falling score: it keeps the first and drops what
// overlaps a kept one of its class, or of any, by more than limit. A limit of 0 keeps all. It works within fs.
func suppress(fs []found, limit float64, agnostic bool) []found {
	if limit <= 0 {
		return fs
	}
	kept := fs[:0]
	for _, f := range fs {
		if !slices.ContainsFunc(kept, func(k found) bool {
			return (agnostic || k.class == f.class) && iou(k.box, f.box) > limit
		}) {
			kept = append(kept, f)
		}
	}
	return kept
}

// iou is the area that two boxes share over the area that they cover together.
func iou(a, b inspection.Box) float64 {
	w := min(a.X2, b.X2) - max(a.X1, b.X1)
	h := min(a.Y2, b.Y2) - max(a.Y1, b.Y1)
	if w <= 0 || h <= 0 {
		return 0
	}
	shared := w * h
	return shared / (a.W()*a.H() + b.W()*b.H() - shared)
}

func finite(v float64) bool { return v-v == 0 }
