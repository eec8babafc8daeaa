//go:build gocv_specific_modules

package imaging

import (
	"errors"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func addSeeds(f *testing.F) {
	for _, data := range [][]byte{encodeJPEG(f, scene(24, 16), 80), encodeJPEG(f, colourScene(17, 9), 80), sofJPEG(0xC0, 8, 65535, 65535, 3), scanBomb(100)} {
		f.Add(uint8(inspection.FormatJPEG), uint32(0), 0, 0, 0, data)
	}
	for _, data := range [][]byte{encodePNG(f, scene(24, 16)), encodePNG(f, colourScene(9, 8)), rawPNG(10, 2, 1, 0, []byte{0, 0xAA, 0xC0, 0, 0x0F, 0x40}), rawPNG(65535, 65535, 8, 2, nil)} {
		f.Add(uint8(inspection.FormatPNG), uint32(0), 0, 0, 0, data)
	}
	f.Add(uint8(inspection.FormatRaw), uint32(inspection.BayerRG8), 6, 4, 8, make([]byte, 32))
	f.Add(uint8(inspection.FormatRaw), uint32(inspection.RGB8), 2, 2, 6, make([]byte, 12))
}

// FuzzDecode: whatever comes in, the answer is an image error and no pixels, or all pixels of the size declared.
func FuzzDecode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, format uint8, pixels uint32, width, height, stride int, data []byte) {
		w, err := NewWorker(Limits{MaxPixels: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		p := newTestPicture(t)
		im := inspection.Image{
			Format: inspection.ImageFormat(format), PixelFormat: inspection.PixelFormat(pixels),
			Width: width, Height: height, Stride: stride, Data: inspection.NewBuffer(nil, data),
		}
		for i, colour := range []Colour{Gray, BGR, RGB, Gray, RGB} {
			scale := 1
			decode := func() error { return w.Decode(im, colour, p) }
			if i >= 3 { // small inputs, so that JPEGs are decoded smaller
				spec := Spec{Width: 3, Height: 2, Colour: colour, Scaled: true}
				if h, err := ReadHeader(im, Limits{}); err == nil && im.Format == inspection.FormatJPEG {
					scale = scaleFor([]Spec{spec}, h.Width, h.Height)
				}
				decode = func() error { return w.DecodeFor(im, []Spec{spec}, false, p) }
			}
			err := decode()
			if err != nil {
				if !errors.Is(err, inspection.ErrImage) || len(p.Bytes()) != 0 {
					t.Fatalf("got %v and %d bytes of pixels, want ErrImage and none", err, len(p.Bytes()))
				}
				continue
			}
			h, err := ReadHeader(im, Limits{})
			if err != nil || p.Width() != h.Width/scale || p.Height() != h.Height/scale || len(p.Bytes()) != p.Width()*p.Height()*colour.Components() {
				t.Fatalf("decoded %d x %d px in %d bytes; the header says %+v, %v", p.Width(), p.Height(), len(p.Bytes()), h, err)
			}
			if facts, err := w.Measure(p); err != nil || facts.Width != h.Width || facts.Height != h.Height {
				t.Fatalf("got facts %+v, %v of %+v", facts, err, h)
			}
		}
	})
}
