//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"image"
	"runtime"
	"unsafe"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// Picture is 8-bit pixels: rows without gaps, one byte a pixel (grey) or three (BGR or RGB, as it knows). They lie in C
// memory that grows as needed and is reused, or in the bytes that a frame lent to Borrow, where nobody writes. It belongs
// to one goroutine at a time.
type Picture struct {
	buf     []byte // len is w*h*c: the beginning of own, or what was lent
	own     []byte // the C memory
	w, h, c int
	rgb     bool // three bytes are R, G, B instead of B, G, R

	frameW, frameH int // the frame's size: w and h, or a multiple of them where it was decoded at a smaller scale
}

// NewPicture returns an empty picture; Close frees it.
func NewPicture() *Picture { return &Picture{} }

// Width returns the width in px, which is less than the frame's where that was decoded at a smaller scale.
func (p *Picture) Width() int { return p.w }

// Height returns the height in px, as Width does.
func (p *Picture) Height() int { return p.h }

// Channels returns 1 for grey and 3 for colour.
func (p *Picture) Channels() int { return p.c }

// Bytes returns the pixels, to be read only. They live in the picture until its next use.
func (p *Picture) Bytes() []byte { return p.buf }

// Forget makes the picture empty and gives back what it borrowed.
func (p *Picture) Forget() {
	p.buf, p.w, p.h, p.c, p.frameW, p.frameH, p.rgb = nil, 0, 0, 0, 0, 0, false
}

// Close frees the pixels. It may be called twice.
func (p *Picture) Close() {
	if p != nil {
		cFree(p.own)
		*p = Picture{}
	}
}

// shrinkAbove is the size in bytes from which memory that is mostly unused is given back, so that one huge frame does not
// hold its memory for ever.
const shrinkAbove = 32 << 20

// reset gives the picture a new size, in memory of its own. What its pixels hold then is undefined: the caller writes all
// of them or calls Forget.
func (p *Picture) reset(w, h, c int) error {
	n := w * h * c
	if len(p.own) < n || len(p.own) > shrinkAbove && len(p.own) > 4*n {
		p.Close()
		if p.own = cAlloc(max(n, 64)); p.own == nil {
			return fmt.Errorf("%w: no memory for a picture of %d x %d px", inspection.ErrOverloaded, w, h)
		}
	}
	p.set(p.own[:n], w, h, c)
	return nil
}

// borrow makes the picture one of bytes that are not its own. They are never written.
func (p *Picture) borrow(pixels []byte, w, h, c int) { p.set(pixels, w, h, c) }

func (p *Picture) set(pixels []byte, w, h, c int) {
	p.buf, p.w, p.h, p.c, p.frameW, p.frameH, p.rgb = pixels, w, h, c, w, h, false
}

// mat returns an OpenCV header over the pixels; the caller closes it.
func (p *Picture) mat() (gocv.Mat, error) {
	t := gocv.MatTypeCV8UC1
	if p.c == 3 {
		t = gocv.MatTypeCV8UC3
	}
	return gocv.NewMatFromBytes(p.h, p.w, t, p.buf)
}

// from runs an OpenCV function from src into p, which has its final size already, and makes sure that the function wrote
// there and not into memory of its own. The matrix holds src's address beyond one call into C, so what was lent is pinned.
func (p *Picture) from(src *Picture, op func(src gocv.Mat, dst *gocv.Mat) error) error {
	var pin runtime.Pinner
	pin.Pin(unsafe.SliceData(src.buf))
	defer pin.Unpin()
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

// convert writes src into p in another colour order: grey or BGR.
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
	p.rgb = src.rgb
	return p.from(src, func(s gocv.Mat, d *gocv.Mat) error { return gocv.Resize(s, d, image.Pt(w, h), 0, 0, filter) })
}
