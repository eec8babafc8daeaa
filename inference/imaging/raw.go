//go:build gocv_specific_modules

package imaging

// #include "pixels.h"
import "C"

import (
	"fmt"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// bayer maps the PFNC patterns to OpenCV's names, which call the pattern by its second row's second and third pixel.
func bayer(p inspection.PixelFormat) (gray, bgr gocv.ColorConversionCode, ok bool) {
	switch p {
	case inspection.BayerRG8:
		return gocv.ColorBayerBGToGRAY, gocv.ColorBayerBGToBGR, true
	case inspection.BayerGR8:
		return gocv.ColorBayerGBToGRAY, gocv.ColorBayerGBToBGR, true
	case inspection.BayerGB8:
		return gocv.ColorBayerGRToGRAY, gocv.ColorBayerGRToBGR, true
	case inspection.BayerBG8:
		return gocv.ColorBayerRGToGRAY, gocv.ColorBayerRGToBGR, true
	default:
		return 0, 0, false
	}
}

// decodeRaw brings raw pixels from the frame's pieces into dst in one pass; only a Bayer pattern, which needs neighbours,
// is put together first. lent: dst may read the frame's bytes where they need no change.
func (w *Worker) decodeRaw(im inspection.Image, colour Colour, lent bool, dst *Picture) error {
	if gray, bgr, ok := bayer(im.PixelFormat); ok {
		return w.decodeBayer(im, colour, gray, bgr, dst)
	}
	bpp, channels := im.PixelFormat.BytesPerPixel(), colour.Components()
	if bpp == channels && (bpp == 1 || colour == RGB || im.PixelFormat == inspection.BGR8) {
		err := pack(im, lent, dst)
		dst.rgb = im.PixelFormat == inspection.RGB8
		return err
	}
	if err := dst.reset(im.Width, im.Height, channels); err != nil {
		return err
	}
	if n := im.Width * bpp; len(w.line) < n {
		w.line = make([]byte, n)
	}
	rows := rawRows(im)
	for y := range im.Height {
		out, in := dst.buf[y*im.Width*channels:], rows.next(w.line)
		switch {
		case bpp == 1:
			spread3(out, in, im.Width, false)
		case channels == 1:
			luma(out, in, im.Width, im.PixelFormat == inspection.RGB8, false)
		default:
			swap3(out, in, im.Width, false)
		}
	}
	return nil
}

func (w *Worker) decodeBayer(im inspection.Image, colour Colour, gray, bgr gocv.ColorConversionCode, dst *Picture) error {
	if im.Width < 3 || im.Height < 3 {
		return fmt.Errorf("%w: a Bayer picture of %d x %d px has no whole pattern", inspection.ErrImage, im.Width, im.Height)
	}
	code := bgr
	if colour == Gray {
		code = gray
	}
	defer w.raw.Forget()
	if err := pack(im, true, &w.raw); err != nil {
		return err
	}
	if err := dst.convert(&w.raw, colour.Components(), code); err != nil {
		return fmt.Errorf("convert raw pixels %#08x: %w", uint32(im.PixelFormat), err)
	}
	return nil
}

// pack makes dst im's rows without the gaps between them. Where im came in one piece without gaps and may be lent, dst
// reads it where it lies.
func pack(im inspection.Image, lent bool, dst *Picture) error {
	bpp := im.PixelFormat.BytesPerPixel()
	row, pieces := im.Width*bpp, im.Data.Pieces()
	if lent && len(pieces) == 1 && im.Stride == row {
		dst.borrow(pieces[0][:row*im.Height:row*im.Height], im.Width, im.Height, bpp)
		return nil
	}
	if err := dst.reset(im.Width, im.Height, bpp); err != nil {
		return err
	}
	rows := rawRows(im)
	if im.Stride == row {
		rows.copy(dst.buf)
		return nil
	}
	for y := range im.Height {
		rows.skip()
		rows.copy(dst.buf[y*row : (y+1)*row])
	}
	return nil
}

// rowReader reads a raw image's rows, in order, from the pieces in which it came.
type rowReader struct {
	pieces   [][]byte // after the one that is being read
	rest     []byte   // of that one
	row, gap int      // bytes
	begun    bool
}

// rawRows returns a reader at the first row. im is valid: its bytes are enough.
func rawRows(im inspection.Image) rowReader {
	row := im.Width * im.PixelFormat.BytesPerPixel()
	return rowReader{pieces: im.Data.Pieces(), row: row, gap: im.Stride - row}
}

// next returns the next row: in its piece where it lies in one, else joined in scratch, which must be as long.
func (r *rowReader) next(scratch []byte) []byte {
	r.skip()
	if in := r.some(r.row); len(in) == r.row {
		r.rest = r.rest[r.row:]
		return in
	}
	r.copy(scratch[:r.row])
	return scratch[:r.row]
}

// copy reads len(dst) bytes.
func (r *rowReader) copy(dst []byte) {
	for len(dst) > 0 {
		n := copy(dst, r.some(len(dst)))
		dst, r.rest = dst[n:], r.rest[n:]
	}
}

// skip leaps over the gap before a row; the first has none.
func (r *rowReader) skip() {
	gap := r.gap
	if !r.begun {
		gap, r.begun = 0, true
	}
	for gap > 0 {
		n := len(r.some(gap))
		gap, r.rest = gap-n, r.rest[n:]
	}
}

// some returns the next bytes, at most n and at least one, without reading over them.
func (r *rowReader) some(n int) []byte {
	for len(r.rest) == 0 {
		r.rest, r.pieces = r.pieces[0], r.pieces[1:]
	}
	return r.rest[:min(n, len(r.rest))]
}

// wideUnless says whether to use vector instructions: where there are any, unless plain.
func wideUnless(plain bool) C.int {
	if plain {
		return 0
	}
	return C.have_avx2()
}

// luma writes the grey values of n px of three bytes, in the order BGR or RGB, as OpenCV computes them.
func luma(dst, src []byte, n int, rgb, plain bool) {
	_, _ = dst[n-1], src[3*n-1]
	C.luma_u8(cBytes(dst), cBytes(src), C.size_t(n), cBool(rgb), wideUnless(plain))
}

// swap3 copies n px of three bytes, the first and the third exchanged.
func swap3(dst, src []byte, n int, plain bool) {
	_, _ = dst[3*n-1], src[3*n-1]
	C.swap3_u8(cBytes(dst), cBytes(src), C.size_t(n), wideUnless(plain))
}

// spread3 copies n grey px into three bytes each.
func spread3(dst, src []byte, n int, plain bool) {
	_, _ = dst[3*n-1], src[n-1]
	C.spread3_u8(cBytes(dst), cBytes(src), C.size_t(n), wideUnless(plain))
}
