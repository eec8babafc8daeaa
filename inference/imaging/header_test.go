package imaging

import (
	"errors"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// FuzzHeader: a header is read without a crash, and what passes keeps the limits.
func FuzzHeader(f *testing.F) {
	f.Add(uint8(inspection.FormatJPEG), 0, 0, 0, []byte("\xff\xd8\xff\xc0\x00\x0b\x08\x00\x10\x00\x18\x01\x01\x11\x00"))
	f.Add(uint8(inspection.FormatPNG), 0, 0, 0, []byte(pngSignature+"\x00\x00\x00\x0dIHDR\x00\x00\x00\x0a\x00\x00\x00\x02\x01\x00\x00\x00\x00"))
	f.Add(uint8(inspection.FormatRaw), 4, 4, 4, make([]byte, 16))
	f.Fuzz(func(t *testing.T, format uint8, width, height, stride int, data []byte) {
		im := inspection.Image{
			Format: inspection.ImageFormat(format), PixelFormat: inspection.Mono8,
			Width: width, Height: height, Stride: stride, Data: inspection.NewBuffer(nil, data),
		}
		h, err := ReadHeader(im, Limits{MaxPixels: 1000})
		if err != nil {
			if !errors.Is(err, inspection.ErrImage) {
				t.Fatalf("got %v, want ErrImage", err)
			}
			return
		}
		if h.Width <= 0 || h.Height <= 0 || h.Width > 1000/h.Height || h.Channels != 1 && h.Channels != 3 {
			t.Fatalf("passed %+v, beyond the limits", h)
		}
		_ = checkScans(data)
		_ = checkPNG(append([]byte(pngSignature), data...))
	})
}
