//go:build gocv_specific_modules

package imaging

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/inspection"
)

var pairSpec = Spec{
	Width: 320, Height: 320, Colour: Gray, Sources: []Source{FromFrame, FromReference, FromDifference},
	Resize: Stretch, Area: true, Scale: 1.0 / 255, Mean: []float64{0}, Std: []float64{1},
}

// board draws a layer of traces and pads, a different one for each seed.
func board(w, h int, seed uint64) *image.Gray {
	im := image.NewGray(image.Rect(0, 0, w, h))
	rng := rand.New(rand.NewPCG(seed, 1))
	fill := func(r image.Rectangle) {
		r = r.Intersect(im.Rect)
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				im.SetGray(x, y, color.Gray{Y: 235})
			}
		}
	}
	for range 40 {
		x, y, n := rng.IntN(w), rng.IntN(h), 40+rng.IntN(200)
		if rng.IntN(2) == 0 {
			fill(image.Rect(x, y, x+n, y+9))
		} else {
			fill(image.Rect(x, y, x+9, y+n))
		}
		fill(image.Rect(x-10, y-10, x+12, y+12))
	}
	return im
}

// moved returns p moved by dx, dy px, which need not be whole, with noise on it.
func moved(t *testing.T, p *Picture, dx, dy float64, seed uint64) *Picture {
	t.Helper()
	out := newTestPicture(t)
	if err := out.reset(p.w, p.h, p.c); err != nil {
		t.Fatal(err)
	}
	m := gocv.NewMatWithSize(2, 3, gocv.MatTypeCV64F)
	defer m.Close()
	for i, v := range []float64{1, 0, dx, 0, 1, dy} {
		m.SetDoubleAt(i/3, i%3, v)
	}
	err := out.from(p, func(s gocv.Mat, d *gocv.Mat) error {
		return gocv.WarpAffineWithParams(s, d, m, image.Pt(p.w, p.h), gocv.InterpolationLinear, gocv.BorderReplicate, color.RGBA{})
	})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	for i, v := range out.buf {
		out.buf[i] = byte(min(max(int(v)+rng.IntN(31)-15, 0), 255))
	}
	for range 6 { // defects
		x, y := rng.IntN(p.w-30), rng.IntN(p.h-30)
		for r := range 24 {
			row := out.buf[((y+r)*p.w+x)*p.c:][:24*p.c]
			for i := range row {
				row[i] = 255 - row[i]
			}
		}
	}
	return out
}

func checkAlign(t *testing.T, w *Worker, tpl *Template, name string, dx, dy float64, seed uint64) {
	t.Helper()
	p := moved(t, &tpl.full, dx, dy, seed)
	s, ok, err := w.Align(tpl, p)
	if err != nil || !ok {
		t.Errorf("%s moved by (%.2f, %.2f): got ok %v, %v", name, dx, dy, ok, err)
	} else if off := math.Hypot(s.X-dx, s.Y-dy); off > 0.5 {
		t.Errorf("%s moved by (%.2f, %.2f): got (%.2f, %.2f), off by %.2f px, want at most 0.5", name, dx, dy, s.X, s.Y, off)
	}
}

func TestAlignFindsTheShift(t *testing.T) {
	w := newTestWorker(t)
	for _, size := range []image.Point{{640, 640}, {300, 220}, {1280, 960}} {
		for seed := range uint64(3) {
			tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(t, board(size.X, size.Y, seed))}, pairSpec, true)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(seed, 2))
			for range 8 {
				checkAlign(t, w, tpl, "board", rng.Float64()*40-20, rng.Float64()*40-20, seed)
			}
			checkAlign(t, w, tpl, "board", 0, 0, seed)
			checkAlign(t, w, tpl, "board", 55, -35, seed) // far beyond any limit: must be seen as such
			tpl.Close()
		}
	}
}

func TestAlignFindsTheShiftOfRealBoards(t *testing.T) {
	dir := os.Getenv("INSPECTION_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	list, err := os.ReadFile(filepath.Join(dir, "deeppcb", "val.txt"))
	if err != nil {
		t.Skipf("deeppcb is not here (%v): set INSPECTION_DATA", err)
	}
	w, p := newTestWorker(t), newTestPicture(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for i, line := range strings.Fields(string(list)) {
		if i%7 != 0 {
			continue
		}
		base := filepath.Join(dir, "deeppcb", "PCBData", line)
		temp, err := os.ReadFile(base + "_temp.png")
		if err != nil {
			t.Fatal(err)
		}
		test, err := os.ReadFile(base + "_test.jpg")
		if err != nil {
			t.Fatal(err)
		}
		tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: temp}, pairSpec, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Decode(jpegImage(test), Gray, p); err != nil {
			t.Fatal(err)
		}
		own, ok, err := w.Align(tpl, p) // the set's own misalignment, a few px at most
		if err != nil || !ok || own.Beyond(5) {
			t.Errorf("%s: got shift %+v, %v, %v; want a small one", line, own, ok, err)
		}
		checkAlign(t, w, tpl, line, rng.Float64()*30-15, rng.Float64()*30-15, 1)
		dx, dy := rng.IntN(31)-15, rng.IntN(31)-15
		both := newTestPicture(t)
		if err := both.reset(p.w, p.h, 1); err != nil {
			t.Fatal(err)
		}
		shiftInto(both, p, dx, dy)
		s, _, err := w.Align(tpl, both)
		if off := math.Hypot(s.X-own.X-float64(dx), s.Y-own.Y-float64(dy)); err != nil || off > 0.5 {
			t.Errorf("%s moved by (%d, %d): got %+v on top of %+v, %v", line, dx, dy, s, own, err)
		}
		tpl.Close()
	}
}

// Drawn boards know their own shift, to a sixteenth of a px, and have ragged edges and defects.
func TestAlignFindsTheShiftOfDrawnBoards(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	worst := 0.0
	for seed := range uint64(24) {
		spec := synthetic.Default()
		spec.Product, spec.Seed, spec.AlignPx = 1000+seed/4, 1000+seed, 16
		pair, err := synthetic.Render(spec)
		if err != nil {
			t.Fatal(err)
		}
		tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(t, pair.Template)}, pairSpec, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Decode(jpegImage(encodeJPEG(t, pair.Test, 90)), Gray, p); err != nil {
			t.Fatal(err)
		}
		s, ok, err := w.Align(tpl, p)
		off := math.Hypot(s.X-pair.ShiftX, s.Y-pair.ShiftY)
		if err != nil || !ok || off > 0.5 {
			t.Errorf("board %d moved by (%.2f, %.2f): got (%.2f, %.2f), %v, %v, off by %.2f px", seed, pair.ShiftX, pair.ShiftY, s.X, s.Y, ok, err, off)
		}
		worst = max(worst, off)
		tpl.Close()
	}
	t.Logf("off by at most %.3f px", worst)
}

func TestAlignOfNothing(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(t, board(200, 200, 1))}, pairSpec, true)
	if err != nil {
		t.Fatal(err)
	}
	defer tpl.Close()
	if err := w.Decode(pngImage(encodePNG(t, image.NewGray(image.Rect(0, 0, 200, 200)))), Gray, p); err != nil {
		t.Fatal(err)
	}
	if s, ok, err := w.Align(tpl, p); ok || err != nil {
		t.Errorf("a black picture: got shift %+v, ok %v, %v; want not measured", s, ok, err)
	}
	if err := w.Decode(pngImage(encodePNG(t, scene(200, 201))), Gray, p); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Align(tpl, p); err == nil {
		t.Error("another size than the template's: got no error")
	}
}

func TestShiftInto(t *testing.T) {
	w, p, q := newTestWorker(t), newTestPicture(t), newTestPicture(t)
	if err := w.Decode(pngImage(encodePNG(t, colourScene(9, 7))), BGR, p); err != nil {
		t.Fatal(err)
	}
	if err := q.reset(9, 7, 3); err != nil {
		t.Fatal(err)
	}
	for _, d := range []image.Point{{}, {X: 3, Y: -2}, {X: -4, Y: 5}, {X: 20, Y: 0}, {X: -20, Y: -20}} {
		shiftInto(q, p, d.X, d.Y)
		for y := range 7 {
			for x := range 9 {
				sx, sy := min(max(x-d.X, 0), 8), min(max(y-d.Y, 0), 6)
				for c := range 3 {
					if got, want := q.buf[(y*9+x)*3+c], p.buf[(sy*9+sx)*3+c]; got != want {
						t.Fatalf("moved by %v: pixel (%d, %d) is %d, want %d", d, x, y, got, want)
					}
				}
			}
		}
	}
}
