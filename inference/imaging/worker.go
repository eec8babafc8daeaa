//go:build gocv_specific_modules

package imaging

import (
	"fmt"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// Worker does the imaging of one native thread: it owns the scratch pictures, and is used by one goroutine at
// a time. Nothing in it carries from one frame to the next but memory to write over.
type Worker struct {
	limits Limits
	join   []byte // bytes of an image that came in several pieces

	raw, gray, small, fitted, boxed, shifted, fittedRef Picture
}

// NewWorker returns a worker; Close frees it. It keeps OpenCV, for the whole process, from starting threads of its own.
func NewWorker(limits Limits) (*Worker, error) {
	gocv.SetNumThreads(1) // a worker is one thread: OpenCV must not start more behind it
	return &Worker{limits: limits.orDefault()}, nil
}

// Close frees the worker's memory. It may be called twice.
func (w *Worker) Close() {
	for _, p := range []*Picture{&w.raw, &w.gray, &w.small, &w.fitted, &w.boxed, &w.shifted, &w.fittedRef} {
		p.Close()
	}
}

// Decode writes im's pixels into dst, as grey (Gray) or BGR (BGR); grey and colour pictures become either. Nothing is
// decoded in doubt: a truncated or damaged picture, one with another size than the frame states, or one beyond the limits
// is an error that wraps inspection.ErrImage (or ErrImageTooLarge), and dst is then empty. EXIF orientation is ignored.
// Bytes after the picture's end mark are ignored.
func (w *Worker) Decode(im inspection.Image, colour Colour, dst *Picture) error {
	dst.void()
	if err := w.decode(im, colour.Components(), dst); err != nil {
		dst.void()
		return err
	}
	return nil
}

func (w *Worker) decode(im inspection.Image, channels int, dst *Picture) error {
	if im.Data.Len() > w.limits.MaxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d are taken", inspection.ErrImageTooLarge, im.Data.Len(), w.limits.MaxBytes)
	}
	data := im.Data.Contiguous(w.join)
	if len(im.Data.Pieces()) > 1 {
		w.join = data
	}
	h, err := ReadHeader(im, data, w.limits)
	if err != nil {
		return err
	}
	switch im.Format {
	case inspection.FormatJPEG:
		if err := checkScans(data); err != nil {
			return err
		}
		if err := dst.reset(h.Width, h.Height, channels); err != nil {
			return err
		}
		return decodeJPEG(data, dst)
	case inspection.FormatPNG:
		if err := dst.reset(h.Width, h.Height, channels); err != nil {
			return err
		}
		return decodePNG(data, dst)
	default:
		return w.decodeRaw(im, data, channels, dst)
	}
}

// decodePNG decodes in place with OpenCV (libpng), which is strict about the compressed data but not about what frames
// it: that is checkPNG's part.
func decodePNG(data []byte, dst *Picture) error {
	if err := checkPNG(data); err != nil {
		return err
	}
	// OpenCV leaves what it was given untouched where decoding fails half way, and may say so only by an empty Mat.
	flags := gocv.IMReadGrayScale
	if dst.c == 3 {
		flags = gocv.IMReadColor
	}
	const ignoreOrientation = 128
	if err := dst.write(func(d *gocv.Mat) error { return gocv.IMDecodeIntoMat(data, flags|ignoreOrientation, d) }); err != nil {
		return fmt.Errorf("%w: PNG does not decode: %w", inspection.ErrImage, err)
	}
	return nil
}

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

func (w *Worker) decodeRaw(im inspection.Image, data []byte, channels int, dst *Picture) error {
	own := im.PixelFormat.BytesPerPixel()
	if own == channels && im.PixelFormat == inspection.Mono8 || own == channels && im.PixelFormat == inspection.BGR8 {
		return packRows(im, data, own, dst)
	}
	if err := packRows(im, data, own, &w.raw); err != nil {
		return err
	}
	code, err := rawConversion(im, channels)
	if err != nil {
		return err
	}
	if err := dst.convert(&w.raw, channels, code); err != nil {
		return fmt.Errorf("convert raw pixels %#08x: %w", uint32(im.PixelFormat), err)
	}
	return nil
}

func rawConversion(im inspection.Image, channels int) (gocv.ColorConversionCode, error) {
	if gray, bgr, ok := bayer(im.PixelFormat); ok {
		if im.Width < 3 || im.Height < 3 {
			return 0, fmt.Errorf("%w: a Bayer picture of %d x %d px has no whole pattern", inspection.ErrImage, im.Width, im.Height)
		}
		if channels == 1 {
			return gray, nil
		}
		return bgr, nil
	}
	switch {
	case im.PixelFormat == inspection.Mono8:
		return gocv.ColorGrayToBGR, nil
	case im.PixelFormat == inspection.RGB8 && channels == 1:
		return gocv.ColorRGBToGray, nil
	case im.PixelFormat == inspection.RGB8:
		return gocv.ColorRGBToBGR, nil
	default: // BGR8 to grey
		return gocv.ColorBGRToGray, nil
	}
}

// packRows copies a raw image's rows into dst without the gaps between them.
func packRows(im inspection.Image, data []byte, bpp int, dst *Picture) error {
	if err := dst.reset(im.Width, im.Height, bpp); err != nil {
		return err
	}
	row := im.Width * bpp
	for y := range im.Height {
		copy(dst.buf[y*row:(y+1)*row], data[y*im.Stride:])
	}
	return nil
}
