//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"image"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// Picture is 8-bit pixels in C memory: rows without gaps, one byte a pixel (grey) or three (BGR). Its memory grows as
// needed and is reused. It belongs to one goroutine at a time.
type Picture struct {
	buf     []byte // len is w*h*c
	w, h, c int
}

// NewPicture returns an empty picture; Close frees it.
func NewPicture() *Picture { return &Picture{} }

// Width returns the width in px.
func (p *Picture) Width() int { return p.w }

// Height returns the height in px.
func (p *Picture) Height() int { return p.h }

// Channels returns 1 for grey and 3 for BGR.
func (p *Picture) Channels() int { return p.c }

// Bytes returns the pixels, which live in the picture until its next use.
func (p *Picture) Bytes() []byte { return p.buf }

// Close frees the pixels. It may be called twice.
func (p *Picture) Close() {
	if p != nil {
		cFree(p.buf)
		*p = Picture{}
	}
}

// shrinkAbove is the size in bytes from which memory that is mostly unused is given back, so that one huge frame does not
// hold its memory for ever.
const shrinkAbove = 32 << 20

// reset gives the picture a new size. What its pixels hold then is undefined: the caller writes all of them or calls void.
func (p *Picture) reset(w, h, c int) error {
	n := w * h * c
	if cap(p.buf) < n || cap(p.buf) > shrinkAbove && cap(p.buf) > 4*n {
		cFree(p.buf)
		*p = Picture{}
		b := cAlloc(max(n, 64))
		if b == nil {
			return fmt.Errorf("%w: no memory for a picture of %d x %d px", inspection.ErrOverloaded, w, h)
		}
		p.buf = b
	}
	p.buf, p.w, p.h, p.c = p.buf[:n], w, h, c
	return nil
}

// void makes the picture empty, so that a failed call leaves no pixels behind.
func (p *Picture) void() { p.buf, p.w, p.h, p.c = p.buf[:0], 0, 0, 0 }

// mat returns an OpenCV header over the pixels; the caller closes it.
func (p *Picture) mat() (gocv.Mat, error) {
	t := gocv.MatTypeCV8UC1
	if p.c == 3 {
		t = gocv.MatTypeCV8UC3
	}
	return gocv.NewMatFromBytes(p.h, p.w, t, p.buf)
}

// from runs an OpenCV function from src into p, which has its final size already, and makes sure that the function wrote
// there and not into memory of its own.
func (p *Picture) from(src *Picture, op func(src gocv.Mat, dst *gocv.Mat) error) error {
	s, err := src.mat()
	if err != nil {
		return err
	}
	defer s.Close()
	return p.write(func(dst *gocv.Mat) error { return op(s, dst) })
}

func (p *Picture) write(op func(dst *gocv.Mat) error) error {
	d, err := p.mat()
	if err != nil {
		return err
	}
	defer d.Close()
	if err := op(&d); err != nil {
		return err
	}
	got, err := d.DataPtrUint8()
	if err != nil || len(got) != len(p.buf) || &got[0] != &p.buf[0] {
		return fmt.Errorf("OpenCV gave %d bytes of its own, want %d in place", len(got), len(p.buf))
	}
	return nil
}

// convert writes src into p in another colour order.
func (p *Picture) convert(src *Picture, channels int, code gocv.ColorConversionCode) error {
	if err := p.reset(src.w, src.h, channels); err != nil {
		return err
	}
	return p.from(src, func(s gocv.Mat, d *gocv.Mat) error { return gocv.CvtColor(s, d, code) })
}

// resize writes src into p at w x h px.
func (p *Picture) resize(src *Picture, w, h int, filter gocv.InterpolationFlags) error {
	if err := p.reset(w, h, src.c); err != nil {
		return err
	}
	return p.from(src, func(s gocv.Mat, d *gocv.Mat) error { return gocv.Resize(s, d, image.Pt(w, h), 0, 0, filter) })
}
