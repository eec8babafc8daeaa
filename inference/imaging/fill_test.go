//go:build gocv_specific_modules

package imaging

import (
	"errors"
	"image"
	"math"
	"testing"
	"unsafe"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func TestMeasureAgreesWithOpenCV(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	for _, size := range []image.Point{{640, 480}, {2049, 3}, {4100, 2}, {1, 50}, {50, 1}, {2, 2}, {1, 1}} {
		if err := w.Decode(pngImage(encodePNG(t, scene(size.X, size.Y))), Gray, p); err != nil {
			t.Fatal(err)
		}
		got, err := w.Measure(p)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.mat()
		if err != nil {
			t.Fatal(err)
		}
		lap, mean, dev := gocv.NewMat(), gocv.NewMat(), gocv.NewMat()
		if err := errors.Join(gocv.Laplacian(m, &lap, gocv.MatTypeCV64F, 1, 1, 0, gocv.BorderReflect101), gocv.MeanStdDev(m, &mean, &dev)); err != nil {
			t.Fatal(err)
		}
		wantMean, wantDev := mean.GetDoubleAt(0, 0), dev.GetDoubleAt(0, 0)
		if err := gocv.MeanStdDev(lap, &mean, &dev); err != nil {
			t.Fatal(err)
		}
		wantSharp := dev.GetDoubleAt(0, 0) * dev.GetDoubleAt(0, 0)
		if math.Abs(got.Mean-wantMean) > 1e-6 || math.Abs(got.Contrast-wantDev) > 1e-6 || math.Abs(got.Sharpness-wantSharp) > 1e-6*(1+wantSharp) {
			t.Errorf("%v: got mean %v, contrast %v, sharpness %v; want %v, %v, %v", size, got.Mean, got.Contrast, got.Sharpness, wantMean, wantDev, wantSharp)
		}
		if got.Width != size.X || got.Height != size.Y {
			t.Errorf("got %d x %d, want %v", got.Width, got.Height, size)
		}
		for _, m := range []*gocv.Mat{&m, &lap, &mean, &dev} {
			_ = m.Close()
		}
	}
}

func TestFillPair(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(t, board(640, 640, 1))}, pairSpec, false)
	if err != nil {
		t.Fatal(err)
	}
	defer tpl.Close()
	if err := w.Decode(pngImage(encodePNG(t, board(640, 640, 2))), Gray, p); err != nil {
		t.Fatal(err)
	}
	dst := cAlloc(pairSpec.SampleBytes())
	defer cFree(dst)
	for _, shift := range []Shift{{}, {X: 4, Y: -6}} {
		for i := range dst {
			dst[i] = 0xFF // NaN, unless it is written over
		}
		place, err := w.Fill(dst, pairSpec, p, tpl, shift)
		if err != nil {
			t.Fatal(err)
		}
		if want := (inspection.Placement{ScaleX: 0.5, ScaleY: 0.5, Width: 640, Height: 640}); place != want {
			t.Errorf("got placement %+v, want %+v", place, want)
		}
		got, n := floats(dst), 320*320
		area := func(p *Picture, x, y int) float64 {
			sum := 0
			for _, d := range [...]image.Point{{}, {X: 1}, {Y: 1}, {X: 1, Y: 1}} {
				sx, sy := min(max(2*x+d.X, 0), 639), min(max(2*y+d.Y, 0), 639)
				sum += int(p.buf[sy*640+sx])
			}
			return float64(sum) / 4 / 255
		}
		for y := 3; y < 317; y++ {
			for x := 3; x < 317; x++ {
				i := y*320 + x
				f, r := area(p, x, y), area(&tpl.full, x-int(shift.X)/2, y-int(shift.Y)/2)
				if math.Abs(float64(got[i])-f) > 0.5/255+1e-6 || math.Abs(float64(got[n+i])-r) > 0.5/255+1e-6 ||
					math.Abs(float64(got[2*n+i]-(got[i]-got[n+i]))) > 1e-6 {
					t.Fatalf("shift %v, pixel (%d, %d): got %v, %v, %v; want %v, %v and their difference", shift, x, y, got[i], got[n+i], got[2*n+i], f, r)
				}
			}
		}
		for i, v := range got {
			if math.IsNaN(float64(v)) {
				t.Fatalf("value %d was not written", i)
			}
		}
	}
}

func TestFillOrdersChannels(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	// One pixel of R 10, G 20, B 30.
	raw := inspection.Image{Format: inspection.FormatRaw, PixelFormat: inspection.RGB8, Width: 2, Height: 1, Stride: 6, Data: inspection.NewBuffer(nil, []byte{10, 20, 30, 40, 50, 60})}
	if err := w.Decode(raw, BGR, p); err != nil {
		t.Fatal(err)
	}
	spec := Spec{Width: 2, Height: 1, Colour: RGB, Sources: []Source{FromFrame}, Resize: ResizeNone, Scale: 0.5, Mean: []float64{1, 2, 3}, Std: []float64{1, 2, 4}}
	dst := cAlloc(24)
	defer cFree(dst)
	check := func(name string, spec Spec, want ...float32) {
		t.Helper()
		if _, err := w.Fill(dst[:spec.SampleBytes()], spec, p, nil, Shift{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, v := range want {
			got := float32(dst[i])
			if !spec.Uint8 {
				got = floats(dst)[i]
			}
			if got != v {
				t.Errorf("%s: value %d is %v, want %v", name, i, got, v)
			}
		}
	}
	check("RGB NCHW", spec, 4, 19, 4, 11.5, 3, 6.75)
	spec.ChannelsLast = true
	check("RGB NHWC", spec, 4, 4, 3, 19, 11.5, 6.75)
	spec.Colour, spec.Scale, spec.Mean, spec.Std, spec.Uint8 = BGR, 1, []float64{0, 0, 0}, []float64{1, 1, 1}, true
	check("BGR bytes NHWC", spec, 30, 20, 10, 60, 50, 40)
	spec.ChannelsLast = false
	check("BGR bytes NCHW", spec, 30, 60, 20, 50, 10, 40)
}

func TestFillLetterboxes(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	if err := w.Decode(pngImage(encodePNG(t, scene(200, 100))), Gray, p); err != nil {
		t.Fatal(err)
	}
	for i := range p.buf {
		p.buf[i] = 50
	}
	spec := Spec{Width: 64, Height: 64, Colour: Gray, Sources: []Source{FromFrame}, Pad: 114, Scale: 1, Mean: []float64{0}, Std: []float64{1}}
	dst := cAlloc(spec.SampleBytes())
	defer cFree(dst)
	for _, center := range []bool{false, true} {
		spec.Center = center
		top := 0
		if center {
			top = 16
		}
		place, err := w.Fill(dst, spec, p, nil, Shift{})
		if want := (inspection.Placement{ScaleX: 0.32, ScaleY: 0.32, OffsetY: float64(top), Width: 200, Height: 100}); err != nil || place != want {
			t.Fatalf("got %+v, %v; want %+v", place, err, want)
		}
		for i, v := range floats(dst) {
			want := float32(114)
			if y := i / 64; y >= top && y < top+32 {
				want = 50
			}
			if v != want {
				t.Fatalf("center %v, pixel (%d, %d): got %v, want %v", center, i%64, i/64, v, want)
			}
		}
	}
}

// TestFillCuts: the shorter side comes to the input's, and the middle of the longer one is taken; sizes and offsets are what
// torchvision's Resize(64) and CenterCrop(64) give.
func TestFillCuts(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	spec := Spec{Width: 64, Height: 64, Colour: Gray, Sources: []Source{FromFrame}, Resize: Crop, Scale: 1, Mean: []float64{0}, Std: []float64{1}}
	dst := cAlloc(spec.SampleBytes())
	defer cFree(dst)
	for _, c := range []struct{ w, h, long, at int }{
		{256, 128, 128, 32}, {128, 256, 128, 32}, {64, 64, 64, 0}, {67, 64, 67, 2}, {65, 64, 65, 0}, {200, 100, 128, 32}, {199, 100, 127, 32},
	} {
		if err := w.Decode(pngImage(encodePNG(t, scene(c.w, c.h))), Gray, p); err != nil {
			t.Fatal(err)
		}
		for y := range c.h { // rising along the longer side
			for x := range c.w {
				p.buf[y*c.w+x] = byte(map[bool]int{true: x, false: y}[c.w >= c.h])
			}
		}
		place, err := w.Fill(dst, spec, p, nil, Shift{})
		scale := float64(c.long) / float64(max(c.w, c.h))
		want := inspection.Placement{ScaleX: scale, ScaleY: 64 / float64(c.h), OffsetX: -float64(c.at), Width: c.w, Height: c.h}
		if c.h > c.w {
			want.ScaleX, want.ScaleY, want.OffsetX, want.OffsetY = 64/float64(c.w), scale, 0, -float64(c.at)
		}
		if err != nil || place.ScaleX != want.ScaleX || place.ScaleY != want.ScaleY || place.OffsetX != want.OffsetX || place.OffsetY != want.OffsetY {
			t.Fatalf("%d x %d: got %+v, %v; want %+v", c.w, c.h, place, err, want)
		}
		for i, v := range floats(dst) {
			along := i % 64
			if c.h > c.w {
				along = i / 64
			}
			if want := (float64(along+c.at)+0.5)/scale - 0.5; math.Abs(float64(v)-want) > 0.8 { // OpenCV cuts off more than it rounds; a pixel beside would be 1.6 off
				t.Fatalf("%d x %d, pixel (%d, %d): got %v, want %v", c.w, c.h, i%64, i/64, v, want)
			}
		}
	}
}

// int(size * long / short) is torchvision's size of the longer side.
func TestCropHasTorchvisionsSize(t *testing.T) {
	for _, size := range []int{32, 96, 224, 352, 640} {
		for short := 32; short < 600; short++ {
			for long := short; long < 1600; long++ {
				s, want := Spec{Width: size, Height: size, Resize: Crop}, size*long/short
				if w, h := s.inner(long, short); w != want || h != size {
					t.Fatalf("%d x %d px for %d: got %d x %d, want %d x %d", long, short, size, w, h, want, size)
				}
				if w, h := s.inner(short, long); h != want || w != size {
					t.Fatalf("%d x %d px for %d: got %d x %d, want %d x %d", short, long, size, w, h, size, want)
				}
			}
		}
	}
	// An input that is no square is covered, and no more than that.
	for _, c := range [][6]int{{200, 100, 400, 100, 400, 100}, {200, 100, 300, 300, 200, 200}, {100, 200, 300, 301, 199, 200}, {100, 200, 100, 500, 100, 500}} {
		if w, h := (Spec{Width: c[0], Height: c[1], Resize: Crop}).inner(c[2], c[3]); w != c[4] || h != c[5] {
			t.Errorf("%d x %d px for %d x %d: got %d x %d, want %d x %d", c[2], c[3], c[0], c[1], w, h, c[4], c[5])
		}
	}
}

// A picture that is hardly more than a line is not enlarged to gigabytes.
func TestCropRefusesALine(t *testing.T) {
	spec := Spec{Width: 64, Height: 64, Colour: Gray, Sources: []Source{FromFrame}, Resize: Crop, Scale: 1, Mean: []float64{0}, Std: []float64{1}}
	for _, c := range []struct {
		w, h    int
		refused bool
	}{{65535, 1, true}, {1, 65535, true}, {17 * 64, 64, true}, {16 * 64, 64, false}, {64, 16 * 64, false}} {
		if _, err := spec.Place(c.w, c.h); errors.Is(err, inspection.ErrImage) != c.refused {
			t.Errorf("%d x %d: got %v, want it refused: %t", c.w, c.h, err, c.refused)
		}
	}
	w, p := newTestWorker(t), newTestPicture(t)
	if err := w.Decode(pngImage(encodePNG(t, scene(4000, 1))), Gray, p); err != nil {
		t.Fatal(err)
	}
	dst := cAlloc(spec.SampleBytes())
	defer cFree(dst)
	if _, err := w.Fill(dst, spec, p, nil, Shift{}); !errors.Is(err, inspection.ErrImage) {
		t.Errorf("got %v, want ErrImage", err)
	}
}

func TestFillRefuses(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	if err := w.Decode(pngImage(encodePNG(t, scene(100, 100))), Gray, p); err != nil {
		t.Fatal(err)
	}
	tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(t, board(101, 100, 1))}, pairSpec, false)
	if err != nil {
		t.Fatal(err)
	}
	defer tpl.Close()
	dst := make([]byte, pairSpec.SampleBytes())
	if _, err := w.Fill(dst, pairSpec, p, tpl, Shift{}); !errors.Is(err, inspection.ErrImage) {
		t.Errorf("a template of another size: got %v, want ErrImage", err)
	}
	if _, err := w.Fill(dst, pairSpec, p, nil, Shift{}); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("no template: got %v, want ErrInvalid", err)
	}
	if _, err := w.Fill(dst[1:], pairSpec, p, tpl, Shift{}); err == nil {
		t.Error("a slot of the wrong size: got no error")
	}
	none := pairSpec
	none.Resize = ResizeNone
	if _, err := w.Fill(dst, none, p, tpl, Shift{}); !errors.Is(err, inspection.ErrImage) {
		t.Errorf("no resizing and another size: got %v, want ErrImage", err)
	}
	if _, err := w.NewTemplate(inspection.Template{Key: "bad", Format: inspection.FormatPNG, Data: []byte("no picture")}, pairSpec, true); !errors.Is(err, inspection.ErrInvalid) || errors.Is(err, inspection.ErrImage) {
		t.Errorf("a broken template: got %v, want ErrInvalid and not ErrImage", err)
	}
}

func TestSpecValidate(t *testing.T) {
	if err := pairSpec.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Spec){
		"no width":        func(s *Spec) { s.Width = 0 },
		"no sources":      func(s *Spec) { s.Sources = nil },
		"two means":       func(s *Spec) { s.Mean = []float64{0, 0} },
		"std of zero":     func(s *Spec) { s.Std = []float64{0} },
		"scale of zero":   func(s *Spec) { s.Scale = 0 },
		"NaN":             func(s *Spec) { s.Mean = []float64{math.NaN()} },
		"pad":             func(s *Spec) { s.Pad = 256 },
		"scaled bytes":    func(s *Spec) { s.Uint8 = true; s.Sources = []Source{FromFrame} },
		"byte difference": func(s *Spec) { s.Uint8 = true; s.Scale = 1 },
	} {
		s := pairSpec
		change(&s)
		if err := s.Validate(); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}
