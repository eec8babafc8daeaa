//go:build gocv_specific_modules

package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// bytesSpec takes pixels as they are, at a size, from a JPEG of any scale.
func bytesSpec(w, h int, colour Colour, resize Resize) Spec {
	n := colour.Components()
	one := make([]float64, n)
	for i := range one {
		one[i] = 1
	}
	return Spec{Width: w, Height: h, Colour: colour, Sources: []Source{FromFrame}, Uint8: true, ChannelsLast: true, Scaled: true, Resize: resize, Center: true, Scale: 1, Mean: make([]float64, n), Std: one}
}

func TestScaleFor(t *testing.T) {
	small, wide := bytesSpec(224, 224, RGB, Letterbox), bytesSpec(640, 64, RGB, Letterbox)
	full := small
	full.Scaled = false
	pair := small
	pair.Sources = []Source{FromFrame, FromReference}
	none := small
	none.Resize = ResizeNone
	for _, c := range []struct {
		name  string
		specs []Spec
		w, h  int
		want  int
	}{
		{"an eighth", []Spec{small}, 2592, 1944, 8},
		{"just enough", []Spec{small}, 224 * 8, 224 * 8, 8},
		{"just too little", []Spec{small}, 223 * 8, 223 * 8, 4},
		{"letterboxed, the long side counts", []Spec{small}, 1792, 896, 8},
		{"stretched, both sides count", []Spec{bytesSpec(224, 224, RGB, Stretch)}, 1792, 896, 4},
		{"cut, the short side counts", []Spec{bytesSpec(224, 224, RGB, Crop)}, 1792, 896, 4},
		{"the other side", []Spec{bytesSpec(224, 224, RGB, Stretch)}, 896, 1792, 4},
		{"a half", []Spec{small}, 640, 480, 2},
		{"small already", []Spec{small}, 320, 240, 1},
		{"smaller than the input", []Spec{small}, 80, 80, 1},
		{"divided by 4 only", []Spec{small}, 2588, 1944, 4},
		{"divided by 2 only", []Spec{small}, 2592, 1946, 2},
		{"odd", []Spec{small}, 2591, 1944, 1},
		{"two inputs, the larger counts", []Spec{small, wide}, 2560, 1920, 8},
		{"two inputs, one larger", []Spec{small, bytesSpec(640, 640, RGB, Letterbox)}, 2560, 1920, 4},
		{"not allowed", []Spec{full}, 2592, 1944, 1},
		{"not allowed by one", []Spec{small, full}, 2592, 1944, 1},
		{"a template", []Spec{pair}, 2592, 1944, 1},
		{"a template for one", []Spec{small, pair}, 2592, 1944, 1},
		{"no resizing", []Spec{none}, 2592, 1944, 1},
		{"no inputs", nil, 2592, 1944, 1},
	} {
		if got := scaleFor(c.specs, c.w, c.h); got != c.want {
			t.Errorf("%s: %d x %d px are decoded %d times smaller, want %d", c.name, c.w, c.h, got, c.want)
		}
	}
}

// A frame beside a template is decoded as that is: the template's own picture differs from it nowhere.
func TestFrameAndTemplateAreDecodedAlike(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	data := encodeJPEG(t, scene(640, 640), 95)
	for _, area := range []bool{false, true} {
		spec := Spec{Width: 160, Height: 160, Colour: Gray, Sources: []Source{FromDifference}, Scaled: true, Area: area, Resize: Stretch, Scale: 1, Mean: []float64{0}, Std: []float64{1}}
		tm, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatJPEG, Data: data}, spec, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tm.Close)
		if err := w.DecodeFor(jpegImage(data), []Spec{spec}, false, p); err != nil {
			t.Fatal(err)
		}
		dst := cAlloc(spec.SampleBytes())
		t.Cleanup(func() { cFree(dst) })
		if _, err := w.Fill(dst, spec, p, tm, Shift{}); err != nil {
			t.Fatal(err)
		}
		for i, v := range floats(dst) {
			if v != 0 {
				t.Errorf("area %v: value %d differs by %v from the template that it is, want 0", area, i, v)
				break
			}
		}
	}
}

// blob is a smooth bright spot at cx, cy.
func blob(w, h int, cx, cy, sigma float64) *image.RGBA {
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			dx, dy := (float64(x)+0.5-cx)/sigma, (float64(y)+0.5-cy)/sigma
			v := uint8(20 + 200*math.Exp(-(dx*dx+dy*dy)/2))
			im.SetRGBA(x, y, color.RGBA{R: v, G: v, B: v, A: 255})
		}
	}
	return im
}

// centre is where the spot lies in a sample of bytes.
func centre(sample []byte, w, channels int) (x, y float64) {
	var sum, sx, sy float64
	for i := 0; i < len(sample); i += channels {
		v := max(float64(sample[i])-40, 0)
		sum, sx, sy = sum+v, sx+v*(float64(i/channels%w)+0.5), sy+v*(float64(i/channels/w)+0.5)
	}
	return sx / sum, sy / sum
}

// A spot is found at its place in the frame, decoded in full or smaller, near every edge, for every way to resize.
func TestScaledDecodeKeepsPlaces(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	type size struct{ w, h, scale int }
	for _, s := range []size{{1296, 968, 8}, {964, 1292, 4}, {1290, 970, 2}, {1293, 971, 1}} {
		for _, spot := range [][2]float64{{0.1, 0.12}, {0.9, 0.88}, {0.52, 0.47}} {
			cx, cy := spot[0]*float64(s.w), spot[1]*float64(s.h)
			data := encodeJPEG(t, blob(s.w, s.h, cx, cy, 30), 92)
			for _, resize := range []Resize{Letterbox, Stretch} {
				for _, at := range []struct{ area, center bool }{{true, true}, {false, true}, {true, false}} {
					spec := bytesSpec(120, 112, RGB, resize)
					spec.Area, spec.Center = at.area, at.center
					dst := make([]byte, spec.SampleBytes())
					var places [2]inspection.Placement
					for i, whole := range []bool{true, false} {
						if err := w.DecodeFor(jpegImage(data), []Spec{spec}, whole, p); err != nil {
							t.Fatal(err)
						}
						if want := s.w / s.scale; !whole && p.Width() != want || whole && p.Width() != s.w {
							t.Fatalf("%v, whole %v: decoded %d px wide", s, whole, p.Width())
						}
						place, err := w.Fill(dst, spec, p, nil, Shift{})
						if err != nil {
							t.Fatal(err)
						}
						places[i] = place
						x, y := centre(dst, spec.Width, 3)
						found := place.ToFrame(inspection.Box{X1: x, Y1: y, X2: x, Y2: y})
						if math.Hypot(found.X1-cx, found.Y1-cy) > 0.5 {
							t.Errorf("%v, whole %v, resize %d, %+v: the spot at (%.1f, %.1f) was found at (%.2f, %.2f)", s, whole, resize, at, cx, cy, found.X1, found.Y1)
						}
					}
					if places[0] != places[1] {
						t.Errorf("%v: placed at %+v in full and at %+v scaled, want no difference", s, places[0], places[1])
					}
				}
			}
		}
	}
}

func TestFactsOfAScaledPictureHaveTheFramesSize(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	im, spec := jpegImage(encodeJPEG(t, photo(640, 480), 80)), bytesSpec(64, 48, RGB, Stretch)
	if err := w.DecodeFor(im, []Spec{spec}, false, p); err != nil {
		t.Fatal(err)
	}
	got, err := w.Measure(p)
	if err != nil || p.Width() != 80 || got.Width != 640 || got.Height != 480 {
		t.Fatalf("decoded %d px wide, facts %+v, %v; want 80 px, and the frame's 640 x 480", p.Width(), got, err)
	}
	if err := w.Decode(im, RGB, p); err != nil {
		t.Fatal(err)
	}
	if full, err := w.Measure(p); err != nil || math.Abs(full.Mean-got.Mean) > 1 {
		t.Errorf("got a mean of %v scaled and %v in full (%v), want about the same", got.Mean, full.Mean, err)
	}
	// What is not a JPEG is decoded in full.
	if err := w.DecodeFor(pngImage(encodePNG(t, photo(640, 480))), []Spec{spec}, false, p); err != nil || p.Width() != 640 {
		t.Errorf("a PNG: decoded %d px wide, %v; want 640", p.Width(), err)
	}
	if err := w.DecodeFor(im, nil, false, p); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("for no input: got %v, want ErrInvalid", err)
	}
}

// scaledSpecs make JPEGs of 320 x 240 px decode at each scale, in grey and in colour.
func scaledSpecs() map[string][]Spec {
	out := map[string][]Spec{}
	for scale := 1; scale <= 8; scale *= 2 {
		for _, colour := range []Colour{Gray, RGB} {
			out[fmt.Sprintf("1/%d of %d", scale, colour.Components())] = []Spec{bytesSpec(320/scale, 240/scale, colour, Stretch)}
		}
	}
	return out
}

func TestScaledDecodeRefusesTruncationAtEveryPercent(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	for name, im := range samples(t) {
		if im.Format != inspection.FormatJPEG {
			continue
		}
		data := im.Data.Bytes()
		cuts := []int{len(data) - 1, len(data) - 2, len(data) - 3}
		for percent := range 100 {
			cuts = append(cuts, len(data)*percent/100)
		}
		for scale, specs := range scaledSpecs() {
			if err := w.DecodeFor(im, specs, false, p); err != nil {
				t.Fatalf("%s at %s, whole: %v", name, scale, err)
			}
			if p.frameW == 320 && p.w != specs[0].Width {
				t.Fatalf("%s at %s: decoded %d px wide, want %d", name, scale, p.w, specs[0].Width)
			}
			for _, n := range cuts {
				short := im
				short.Data = inspection.NewBuffer(nil, data[:n])
				if err := w.DecodeFor(short, specs, false, p); !errors.Is(err, inspection.ErrImage) || len(p.Bytes()) != 0 {
					t.Errorf("%s at %s cut to %d of %d bytes: got %v and %d bytes of pixels, want ErrImage and none", name, scale, n, len(data), err, len(p.Bytes()))
				}
			}
		}
	}
}

// Damage that the full decode of a colour picture refuses is refused at every scale, and the other way round; and no pixel
// is left over from the picture before.
func TestScaledDecodeIsAsStrict(t *testing.T) {
	w, p, q := newTestWorker(t), newTestPicture(t), newTestPicture(t)
	rng := rand.New(rand.NewPCG(21, 22))
	over := func(im inspection.Image, specs []Spec, p *Picture, mark byte) error {
		if err := p.reset(320, 240, 3); err != nil {
			t.Fatal(err)
		}
		set(p.buf, mark)
		return w.DecodeFor(im, specs, false, p)
	}
	for name, im := range samples(t) {
		if im.Format != inspection.FormatJPEG {
			continue
		}
		data, refused := bytes.Clone(im.Data.Bytes()), 0
		for range 150 {
			bit := rng.IntN(len(data) * 8)
			data[bit/8] ^= 1 << (bit % 8)
			im.Data = inspection.NewBuffer(nil, data)
			full := w.Decode(im, RGB, p)
			for scale, specs := range scaledSpecs() {
				first, second := over(im, specs, p, 0x00), over(im, specs, q, 0xA5)
				if (first == nil) != (second == nil) || !bytes.Equal(p.buf, q.buf) {
					t.Fatalf("%s at %s, bit %d: the picture depends on what lay in memory (%v, %v)", name, scale, bit, first, second)
				}
				if (first == nil) != (full == nil) {
					t.Errorf("%s at %s, bit %d: got %v, in full %v", name, scale, bit, first, full)
				}
			}
			if full != nil {
				refused++
			}
			data[bit/8] ^= 1 << (bit % 8)
		}
		if refused == 0 {
			t.Errorf("%s: no flipped bit was refused, want some", name)
		}
	}
}

func TestRGBIsBGRTurnedRound(t *testing.T) {
	w, p, q := newTestWorker(t), newTestPicture(t), newTestPicture(t)
	for name, im := range samples(t) {
		if err := errors.Join(w.Decode(im, BGR, p), w.Decode(im, RGB, q)); err != nil {
			t.Fatal(err)
		}
		if p.rgb || q.rgb != (im.Format == inspection.FormatJPEG) || !bytes.Equal(p.buf, asBGR(q)) {
			t.Errorf("%s: RGB is not BGR turned round (orders RGB: %v, %v)", name, p.rgb, q.rgb)
		}
	}
}
