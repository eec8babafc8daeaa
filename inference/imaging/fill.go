//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"math"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// Fill writes one sample into dst, which has spec.SampleBytes() bytes and, for floats, their alignment. t, required
// where spec needs a reference, is moved by shift, rounded to whole px, so that boxes stay in pixels of the frame. p must
// have been decoded in spec's colour (BGR for RGB). Every byte of dst is written, or the call is an error; one that
// wraps inspection.ErrImage when the sizes do not fit.
func (w *Worker) Fill(dst []byte, spec Spec, p *Picture, t *Template, shift Shift) (inspection.Placement, error) {
	if len(dst) != spec.SampleBytes() || p.c != spec.Colour.Components() {
		return inspection.Placement{}, fmt.Errorf("fill sample: slot of %d bytes and %d channels, want %d and %d", len(dst), p.c, spec.SampleBytes(), spec.Colour.Components())
	}
	place, err := spec.Place(p.w, p.h)
	if err != nil {
		return place, err
	}
	frame, err := w.fit(&w.boxed, &w.fitted, spec, p)
	if err != nil {
		return place, fmt.Errorf("fill sample: %w", err)
	}
	var reference *Picture
	if spec.NeedsReference() {
		if reference, err = w.reference(t, spec, p, shift); err != nil {
			return place, err
		}
	}
	fillSample(dst, spec, frame, reference)
	return place, nil
}

// reference returns the template at the input's size, moved by shift.
func (w *Worker) reference(t *Template, spec Spec, p *Picture, shift Shift) (*Picture, error) {
	if t == nil {
		return nil, fmt.Errorf("%w: the model compares with a template, and none was given", inspection.ErrInvalid)
	}
	if err := t.sameSize(p); err != nil {
		return nil, err
	}
	dx, dy := int(math.Round(shift.X)), int(math.Round(shift.Y))
	if dx == 0 && dy == 0 {
		return &t.fitted, nil
	}
	if err := w.shifted.reset(t.full.w, t.full.h, t.full.c); err != nil {
		return nil, err
	}
	shiftInto(&w.shifted, &t.full, dx, dy)
	out, err := w.fit(&w.fittedRef, &w.fitted, spec, &w.shifted)
	if err != nil {
		return nil, fmt.Errorf("fill sample: %w", err)
	}
	return out, nil
}

// fit returns p at the input's size: p itself where nothing is to be done, else dst. scratch is overwritten.
func (w *Worker) fit(dst, scratch *Picture, spec Spec, p *Picture) (*Picture, error) {
	if p.w == spec.Width && p.h == spec.Height {
		return p, nil
	}
	return dst, w.fitInto(dst, scratch, spec, p)
}

// fitInto writes p at the input's size into dst, with a border where it is letterboxed.
func (w *Worker) fitInto(dst, scratch *Picture, spec Spec, p *Picture) error {
	filter := gocv.InterpolationLinear
	if spec.Area {
		filter = gocv.InterpolationArea
	}
	place, err := spec.Place(p.w, p.h)
	if err != nil {
		return err
	}
	iw, ih := spec.inner(p.w, p.h)
	if iw == spec.Width && ih == spec.Height {
		return dst.resize(p, iw, ih, filter)
	}
	if err := scratch.resize(p, iw, ih, filter); err != nil {
		return err
	}
	if err := dst.reset(spec.Width, spec.Height, p.c); err != nil {
		return err
	}
	pad := byte(math.Round(spec.Pad))
	for i := range dst.buf {
		dst.buf[i] = pad
	}
	row, x := iw*p.c, int(place.OffsetX)*p.c
	for y := range ih {
		copy(dst.buf[(y+int(place.OffsetY))*spec.Width*p.c+x:][:row], scratch.buf[y*row:])
	}
	return nil
}

// fillSample writes the channels: for each source, for each component of the colour.
func fillSample(dst []byte, spec Spec, frame, reference *Picture) {
	n, comps := spec.Width*spec.Height, spec.Colour.Components()
	size := 4
	if spec.Uint8 {
		size = 1
	}
	channel, stride := n*size, 1
	if spec.ChannelsLast {
		channel, stride = size, comps*len(spec.Sources)
	}
	for i, source := range spec.Sources {
		for c := range comps {
			from := c
			if spec.Colour == RGB {
				from = 2 - c
			}
			out := dst[(i*comps+c)*channel:]
			src := frame
			if source == FromReference {
				src = reference
			}
			a, b := spec.affine(c)
			switch {
			case source == FromDifference:
				difference(out, frame.buf[from:], reference.buf[from:], n, stride, comps, a)
			case spec.Uint8:
				copyStrided(out, src.buf[from:], n, stride, comps)
			default:
				affine(out, src.buf[from:], n, stride, comps, a, b)
			}
		}
	}
}
