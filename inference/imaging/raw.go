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

// decodeRaw brings raw pixels into dst in one pass; only a Bayer pattern, which OpenCV reads, is packed first where there are
// gaps between its rows. im is valid: its bytes are enough. lent: dst may read the frame's bytes where they need no change.
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
	data := im.Data.Bytes()
	for y := range im.Height {
		out, in := dst.buf[y*im.Width*channels:], data[y*im.Stride:]
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

// pack makes dst im's rows without the gaps between them. Where there are none and im may be lent, dst reads it where it
// lies.
func pack(im inspection.Image, lent bool, dst *Picture) error {
	bpp := im.PixelFormat.BytesPerPixel()
	row, data := im.Width*bpp, im.Data.Bytes()
	if lent && im.Stride == row {
		dst.borrow(data[:row*im.Height:row*im.Height], im.Width, im.Height, bpp)
		return nil
	}
	if err := dst.reset(im.Width, im.Height, bpp); err != nil {
		return err
	}
	for y := range im.Height {
		copy(dst.buf[y*row:(y+1)*row], data[y*im.Stride:])
	}
	return nil
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
