//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"image"
	"math"

	"github.com/assay-vision/assay/inspection"
)

// FillTile is Fill for the part of p that tile names, in px of the frame: what is written is what Fill would write for a
// picture that was cut out there, and its template cut out at the same place after it was moved by shift. The placement is in
// pixels of the tile. p must have been decoded in full; it is only read, so that workers may fill from it at the same time.
// Errors wrap inspection.ErrImage where sizes do not fit, and ErrInvalid where the tile is none of p.
func (w *Worker) FillTile(dst []byte, spec Spec, p *Picture, tile image.Rectangle, t *Template, shift Shift) (inspection.Placement, error) {
	if p.w != p.frameW || p.h != p.frameH || tile.Empty() || !tile.In(image.Rect(0, 0, p.w, p.h)) {
		return inspection.Placement{}, fmt.Errorf("%w: tile %v of a frame of %d x %d px that was decoded as %d x %d", inspection.ErrInvalid, tile, p.frameW, p.frameH, p.w, p.h)
	}
	if len(dst) != spec.SampleBytes() || p.c != spec.Colour.Components() {
		return inspection.Placement{}, fmt.Errorf("fill tile: slot of %d bytes and %d channels, want %d and %d", len(dst), p.c, spec.SampleBytes(), spec.Colour.Components())
	}
	place, err := spec.Place(tile.Dx(), tile.Dy())
	if err != nil {
		return place, err
	}
	frame, err := w.fitTile(&w.tile, &w.boxed, spec, p, tile, Shift{})
	if err != nil {
		return place, fmt.Errorf("fill tile: %w", err)
	}
	var reference *Picture
	if spec.NeedsReference() {
		if t == nil {
			return place, fmt.Errorf("%w: the model compares with a template, and none was given", inspection.ErrInvalid)
		}
		if err := t.sameSize(p); err != nil {
			return place, err
		}
		if reference, err = w.fitTile(&w.tileRef, &w.fittedRef, spec, &t.full, tile, shift); err != nil {
			return place, fmt.Errorf("fill tile: %w", err)
		}
	}
	fillSample(dst, spec, frame, reference)
	return place, nil
}

// fitTile returns a tile of p, moved by shift, at the input's size. It lies in cut or in fitted.
func (w *Worker) fitTile(cut, fitted *Picture, spec Spec, p *Picture, tile image.Rectangle, shift Shift) (*Picture, error) {
	if err := cut.reset(tile.Dx(), tile.Dy(), p.c); err != nil {
		return nil, err
	}
	cut.rgb = p.rgb
	cutInto(cut, p, tile.Min.Sub(image.Pt(int(math.Round(shift.X)), int(math.Round(shift.Y)))))
	return w.fit(fitted, &w.fitted, spec, cut)
}

// cutInto writes the part of src from a corner on that is as large as dst; where it leaves src the border is repeated.
func cutInto(dst, src *Picture, from image.Point) {
	left := min(max(-from.X, 0), dst.w)                // px left of src
	right := max(min(src.w-from.X, dst.w), left)       // the first one right of it
	first := min(max(from.X+left, 0), src.w-1) * src.c // byte of the row
	for y := range dst.h {
		line := src.buf[min(max(from.Y+y, 0), src.h-1)*src.w*src.c:][:src.w*src.c]
		out := dst.buf[y*dst.w*dst.c:][:dst.w*dst.c]
		copy(out[left*src.c:right*src.c], line[first:])
		for x := range left {
			copy(out[x*src.c:], line[:src.c])
		}
		for x := right; x < dst.w; x++ {
			copy(out[x*src.c:(x+1)*src.c], line[(src.w-1)*src.c:])
		}
	}
}
