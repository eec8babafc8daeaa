//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func BenchmarkPair(b *testing.B) {
	w, p := newTestWorker(b), newTestPicture(b)
	im := jpegImage(encodeJPEG(b, board(640, 640, 1), 90))
	tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(b, board(640, 640, 1))}, pairSpec, true)
	if err != nil {
		b.Fatal(err)
	}
	defer tpl.Close()
	dst := cAlloc(pairSpec.SampleBytes())
	defer cFree(dst)
	f := NewFingerprinter()
	if err := w.Decode(im, Gray, p); err != nil {
		b.Fatal(err)
	}
	step := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	step("decode", func() error { return w.Decode(im, Gray, p) })
	step("measure", func() error { _, err := w.Measure(p); return err })
	step("fingerprint", func() error { f.Of(p); return nil })
	step("align", func() error { _, _, err := w.Align(tpl, p); return err })
	step("fill", func() error { _, err := w.Fill(dst, pairSpec, p, tpl, Shift{}); return err })
	step("fill-shifted", func() error { _, err := w.Fill(dst, pairSpec, p, tpl, Shift{X: 3}); return err })
}

// rawFrame is a frame of w x h px.
func rawFrame(f inspection.PixelFormat, w, h int) inspection.Image {
	data := make([]byte, w*h*f.BytesPerPixel())
	for i := range data {
		data[i] = byte(i*7 + i/w*3 + i>>9)
	}
	return inspection.Image{Format: inspection.FormatRaw, PixelFormat: f, Width: w, Height: h, Stride: w * f.BytesPerPixel(), Data: inspection.NewBuffer(nil, data)}
}

// BenchmarkRaw: pixels of a raw frame of 20 Mpx.
func BenchmarkRaw(b *testing.B) {
	w, p := newTestWorker(b), newTestPicture(b)
	for _, c := range []struct {
		name   string
		f      inspection.PixelFormat
		colour Colour
	}{
		{"mono", inspection.Mono8, Gray}, {"mono-bgr", inspection.Mono8, BGR}, {"bgr", inspection.BGR8, BGR}, {"rgb-rgb", inspection.RGB8, RGB},
		{"rgb-bgr", inspection.RGB8, BGR}, {"rgb-gray", inspection.RGB8, Gray}, {"bayer-bgr", inspection.BayerRG8, BGR},
	} {
		im := rawFrame(c.f, 5472, 3648)
		if err := w.Decode(im, c.colour, p); err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(im.Data.Len()))
			for b.Loop() {
				if err := w.DecodeFor(im, []Spec{{Colour: c.colour}}, true, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMeasure: the facts of pictures of several sizes.
func BenchmarkMeasure(b *testing.B) {
	w, p := newTestWorker(b), newTestPicture(b)
	for _, c := range []struct {
		name    string
		w, h, c int
	}{{"gray-0.4M", 640, 640, 1}, {"gray-5M", 2592, 1944, 1}, {"gray-20M", 5472, 3648, 1}, {"bgr-0.05M", 224, 224, 3}, {"bgr-5M", 2592, 1944, 3}} {
		if err := p.reset(c.w, c.h, c.c); err != nil {
			b.Fatal(err)
		}
		for i := range p.buf {
			p.buf[i] = byte(i*7 + i>>9)
		}
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(p.buf)))
			for b.Loop() {
				if _, err := w.Measure(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFill: one picture that has the input's size, and one that is letterboxed.
func BenchmarkFill(b *testing.B) {
	w, p := newTestWorker(b), newTestPicture(b)
	for _, c := range []struct {
		name  string
		w, h  int
		bytes bool
		last  bool
	}{{"uint8-nhwc", 224, 224, true, true}, {"uint8-nchw", 224, 224, true, false}, {"float-nhwc", 224, 224, false, true}, {"float-nchw", 224, 224, false, false}, {"letterbox", 324, 243, true, true}} {
		spec := Spec{Width: 224, Height: 224, Colour: RGB, Sources: []Source{FromFrame}, ChannelsLast: c.last, Uint8: c.bytes, Pad: 114, Scale: 1, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}
		if err := p.reset(c.w, c.h, 3); err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			dst := cAlloc(spec.SampleBytes())
			defer cFree(dst)
			for b.Loop() {
				if _, err := w.Fill(dst, spec, p, nil, Shift{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkJPEG: a frame of 5 Mpx at quality 80 for an input of 224 x 224 px.
func BenchmarkJPEG(b *testing.B) {
	w, p := newTestWorker(b), newTestPicture(b)
	im := jpegImage(encodeJPEG(b, photo(2592, 1944), 80))
	spec := Spec{Width: 224, Height: 224, Colour: RGB, Sources: []Source{FromFrame}, ChannelsLast: true, Uint8: true, Scale: 1, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}
	dst := cAlloc(spec.SampleBytes())
	defer cFree(dst)
	step := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(im.Data.Len()))
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	step("decode", func() error { return w.Decode(im, RGB, p) })
	step("decode-measure", func() error {
		if err := w.Decode(im, RGB, p); err != nil {
			return err
		}
		_, err := w.Measure(p)
		return err
	})
	step("fill", func() error { _, err := w.Fill(dst, spec, p, nil, Shift{}); return err })
	step("decode-gray", func() error { return w.Decode(im, Gray, p) })
	spec.Scaled = true
	step("scaled", func() error { return w.DecodeFor(im, []Spec{spec}, false, p) })
	step("scaled-measure-fill", func() error {
		if err := w.DecodeFor(im, []Spec{spec}, false, p); err != nil {
			return err
		}
		if _, err := w.Measure(p); err != nil {
			return err
		}
		_, err := w.Fill(dst, spec, p, nil, Shift{})
		return err
	})
	for _, side := range []int{324, 648, 1296, 2592} { // an eighth, a quarter, a half, all
		for _, colour := range []Colour{RGB, Gray} {
			spec := Spec{Width: side, Height: side, Colour: colour, Scaled: true}
			step(fmt.Sprintf("size-%d-%d", side, colour.Components()), func() error { return w.DecodeFor(im, []Spec{spec}, false, p) })
		}
	}
}

// photo is a picture with shades, edges and a little noise, as cameras take them.
func photo(w, h int) image.Image {
	rng := rand.New(rand.NewPCG(1, 1))
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := 90 + 60*x/w + 40*y/h
			if x/61%5 == 0 && y/47%3 != 0 {
				v += 50
			}
			v += rng.IntN(7) - 3
			im.SetRGBA(x, y, color.RGBA{R: uint8(v), G: uint8(v * 7 / 8), B: uint8(v / 2), A: 255})
		}
	}
	return im
}
