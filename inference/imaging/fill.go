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
// have been decoded in spec's colour; RGB and BGR serve each other. Every byte of dst is written, or the call is an error; one that
// wraps inspection.ErrImage when the sizes do not fit.
func (w *Worker) Fill(dst []byte, spec Spec, p *Picture, t *Template, shift Shift) (inspection.Placement, error) {
	if len(dst) != spec.SampleBytes() || p.c != spec.Colour.Components() {
		return inspection.Placement{}, fmt.Errorf("fill sample: slot of %d bytes and %d channels, want %d and %d", len(dst), p.c, spec.SampleBytes(), spec.Colour.Components())
	}
	place, err := spec.Place(p.frameW, p.frameH)
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
	w.shifted.rgb = t.full.rgb
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

// fitInto writes p at the input's size into dst, with a border where it is letterboxed, without one where it is cut.
func (w *Worker) fitInto(dst, scratch *Picture, spec Spec, p *Picture) error {
	filter := gocv.InterpolationLinear
	if spec.Area {
		filter = gocv.InterpolationArea
	}
	place, err := spec.Place(p.frameW, p.frameH)
	if err != nil {
		return err
	}
	iw, ih := spec.inner(p.frameW, p.frameH)
	if iw == spec.Width && ih == spec.Height {
		return dst.resize(p, iw, ih, filter)
	}
	if err := scratch.resize(p, iw, ih, filter); err != nil {
		return err
	}
	if err := dst.reset(spec.Width, spec.Height, p.c); err != nil {
		return err
	}
	dst.rgb = p.rgb
	if spec.Resize == Crop {
		cutOut(dst, scratch, -int(place.OffsetX), -int(place.OffsetY))
		return nil
	}
	frameIn(dst, scratch, int(place.OffsetX), int(place.OffsetY), byte(math.Round(spec.Pad)))
	return nil
}

// cutOut fills dst with the part of a larger picture that begins at x, y.
func cutOut(dst, from *Picture, x, y int) {
	row := dst.w * dst.c
	for i := range dst.h {
		copy(dst.buf[i*row:(i+1)*row], from.buf[((y+i)*from.w+x)*from.c:])
	}
}

// frameIn writes inner into dst at x, y, and the border around it.
func frameIn(dst, inner *Picture, x, y int, border byte) {
	row, line := inner.w*dst.c, dst.w*dst.c
	left := x * dst.c
	at := y*line + left
	set(dst.buf[:at], border)
	for i := range inner.h {
		copy(dst.buf[at:at+row], inner.buf[i*row:])
		next := at + line // the border at the right, and that at the left of the next row
		if i == inner.h-1 {
			next = len(dst.buf)
		}
		set(dst.buf[at+row:next], border)
		at = next
	}
}

// set fills b with v, by doubling what is filled.
func set(b []byte, v byte) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// fillSample writes the channels: for each source, for each component of the colour.
func fillSample(dst []byte, spec Spec, frame, reference *Picture) {
	if spec.Uint8 && len(spec.Sources) == 1 && (spec.ChannelsLast || spec.Colour == Gray) {
		src := frame
		if spec.Sources[0] == FromReference {
			src = reference
		}
		copyPixels(dst, spec, src)
		return
	}
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
			out := dst[(i*comps+c)*channel:]
			src := frame
			if source == FromReference {
				src = reference
			}
			a, b := spec.affine(c)
			switch {
			case source == FromDifference:
				difference(out, frame.component(spec, c), reference.component(spec, c), n, stride, comps, a)
			case spec.Uint8:
				copyStrided(out, src.component(spec, c), n, stride, comps)
			default:
				affine(out, src.component(spec, c), n, stride, comps, a, b)
			}
		}
	}
}

// component returns the pixels from the first value of component c of the input's colour on.
func (p *Picture) component(spec Spec, c int) []byte {
	if p.c == 3 && p.rgb != (spec.Colour == RGB) {
		c = 2 - c
	}
	return p.buf[c:]
}

// copyPixels writes an input that holds whole pixels, as bytes.
func copyPixels(dst []byte, spec Spec, p *Picture) {
	if p.c == 3 && p.rgb != (spec.Colour == RGB) {
		swap3(dst, p.buf, p.w*p.h, false)
		return
	}
	copy(dst, p.buf)
}
