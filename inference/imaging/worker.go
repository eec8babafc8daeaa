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
	line   []byte  // three grey rows to measure
	rows   []int32 // which rows to measure

	raw, gray, small, fitted, boxed, shifted, fittedRef, tile, tileRef Picture
}

// NewWorker returns a worker; Close frees it. It keeps OpenCV, for the whole process, from starting threads of its own.
func NewWorker(limits Limits) (*Worker, error) {
	gocv.SetNumThreads(1) // a worker is one thread: OpenCV must not start more behind it
	return &Worker{limits: limits.orDefault()}, nil
}

// Close frees the worker's memory. It may be called twice.
func (w *Worker) Close() {
	for _, p := range []*Picture{&w.raw, &w.gray, &w.small, &w.fitted, &w.boxed, &w.shifted, &w.fittedRef, &w.tile, &w.tileRef} {
		p.Close()
	}
}

// Decode writes im's pixels into dst: as grey (Gray), as BGR (BGR), or as whichever of RGB and BGR is less work (RGB), which
// dst then knows. Grey and colour pictures become either. Nothing is decoded in doubt: a truncated or damaged picture,
// one with another size than the frame states, or one beyond the limits is an error that wraps inspection.ErrImage (or
// ErrImageTooLarge), and dst is then empty. EXIF orientation is ignored. Bytes after the picture's end mark are ignored.
func (w *Worker) Decode(im inspection.Image, colour Colour, dst *Picture) error {
	return w.decode(im, colour, nil, false, dst)
}

// DecodeFor is Decode for the inputs of specs, with no more work than they need. A JPEG is decoded at a smaller scale where
// they allow it (Spec.Scaled) and whole does not forbid it. Raw pixels that lie as they are wanted are not copied: dst
// then reads im's own bytes, so the caller holds a reference to im.Data until it has called dst.Forget.
func (w *Worker) DecodeFor(im inspection.Image, specs []Spec, whole bool, dst *Picture) error {
	if len(specs) == 0 {
		return fmt.Errorf("%w: decode for no input", inspection.ErrInvalid)
	}
	colour := specs[0].Colour
	if whole {
		specs = nil
	}
	return w.decode(im, colour, specs, true, dst)
}

func (w *Worker) decode(im inspection.Image, colour Colour, specs []Spec, lent bool, dst *Picture) error {
	dst.Forget()
	if err := w.decodeInto(im, colour, specs, lent, dst); err != nil {
		dst.Forget()
		return err
	}
	return nil
}

func (w *Worker) decodeInto(im inspection.Image, colour Colour, specs []Spec, lent bool, dst *Picture) error {
	h, err := ReadHeader(im, w.limits)
	if err != nil {
		return err
	}
	if im.Format == inspection.FormatRaw {
		return w.decodeRaw(im, colour, lent, dst)
	}
	data := im.Data.Bytes()
	if im.Format == inspection.FormatPNG {
		if err := dst.reset(h.Width, h.Height, colour.Components()); err != nil {
			return err
		}
		if dst.c < h.Channels {
			return decodePNGAsGray(data, dst)
		}
		return decodePNG(data, dst)
	}
	if err := checkScans(data); err != nil {
		return err
	}
	scale := scaleFor(specs, h.Width, h.Height)
	if err := dst.reset(h.Width/scale, h.Height/scale, colour.Components()); err != nil {
		return err
	}
	dst.frameW, dst.frameH, dst.rgb = h.Width, h.Height, colour == RGB
	return decodeJPEG(data, dst)
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

// decodePNGAsGray decodes a colour PNG and makes it grey as raw pixels are. libpng would do so in linear light where the file
// states its gamma, and the same pixels would be another picture.
func decodePNGAsGray(data []byte, dst *Picture) error {
	colours := NewPicture()
	defer colours.Close()
	if err := colours.reset(dst.w, dst.h, 3); err != nil {
		return err
	}
	if err := decodePNG(data, colours); err != nil {
		return err
	}
	luma(dst.buf, colours.buf, dst.w*dst.h, colours.rgb, false)
	return nil
}
