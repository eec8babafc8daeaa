package imaging

import (
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

// Limits bound what a picture may ask for, judged by its header before anything is decoded.
type Limits struct {
	MaxPixels int // width times height; 0 means the default. A progressive JPEG may have a quarter of it: it needs more memory for each pixel
	MaxBytes  int // encoded or raw bytes; 0 means the default
}

// DefaultLimits returns 128 Mpx and 1 GiB: a wire limit that is tighter is enforced where frames come in.
func DefaultLimits() Limits { return Limits{MaxPixels: 128 << 20, MaxBytes: 1 << 30} }

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.MaxPixels > 0 {
		d.MaxPixels = l.MaxPixels
	}
	if l.MaxBytes > 0 {
		d.MaxBytes = l.MaxBytes
	}
	return d
}

// Header is what a picture's header declares.
type Header struct {
	Width       int  // px
	Height      int  // px
	Channels    int  // 1 or 3
	Progressive bool // a JPEG of many scans
}

// ReadHeader reads what im's bytes declare, without decoding, and holds it against limits and against the width and height
// that im states. Errors wrap inspection.ErrImage or inspection.ErrImageTooLarge.
func ReadHeader(im inspection.Image, limits Limits) (Header, error) {
	limits = limits.orDefault()
	data := im.Data.Bytes()
	if n := len(data); n > limits.MaxBytes {
		return Header{}, fmt.Errorf("%w: %d bytes, at most %d are taken", inspection.ErrImageTooLarge, n, limits.MaxBytes)
	}
	var h Header
	var err error
	switch im.Format {
	case inspection.FormatJPEG:
		h, err = readJPEGHeader(data)
	case inspection.FormatPNG:
		h, err = readPNGHeader(data)
	case inspection.FormatRaw:
		h, err = readRawHeader(im, limits)
	default:
		err = fmt.Errorf("%w: image format %s: send jpeg, png or raw", inspection.ErrImage, im.Format)
	}
	if err != nil {
		return Header{}, err
	}
	return h, h.check(im, limits)
}

func (h Header) check(im inspection.Image, limits Limits) error {
	if h.Width <= 0 || h.Height <= 0 {
		return fmt.Errorf("%w: header declares %d x %d px", inspection.ErrImage, h.Width, h.Height)
	}
	allowed := limits.MaxPixels
	if h.Progressive {
		allowed /= 4
	}
	if h.Width > allowed/h.Height {
		return fmt.Errorf("%w: header declares %d x %d px, at most %d px are taken", inspection.ErrImageTooLarge, h.Width, h.Height, allowed)
	}
	if im.Width != 0 && im.Width != h.Width || im.Height != 0 && im.Height != h.Height {
		return fmt.Errorf("%w: the frame says %d x %d px, the picture %d x %d", inspection.ErrImage, im.Width, im.Height, h.Width, h.Height)
	}
	return nil
}

func readRawHeader(im inspection.Image, limits Limits) (Header, error) {
	// The limits come first: Validate multiplies what the frame declares.
	h := Header{Width: im.Width, Height: im.Height, Channels: 1}
	if im.PixelFormat.BytesPerPixel() == 3 {
		h.Channels = 3
	}
	if err := h.check(im, limits); err != nil {
		return Header{}, err
	}
	if im.Stride > limits.MaxBytes {
		return Header{}, fmt.Errorf("%w: stride %d, at most %d bytes are taken", inspection.ErrImageTooLarge, im.Stride, limits.MaxBytes)
	}
	return h, im.Validate()
}
