package eval

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
)

func pngOf(width, height int, grey []byte) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, &image.Gray{Pix: grey, Stride: width, Rect: image.Rect(0, 0, width, height)}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestHeatmapLaidOverAFrame(t *testing.T) {
	box := func(x1, y1, x2, y2 float64) inspection.Box { return inspection.Box{X1: x1, Y1: y1, X2: x2, Y2: y2} }
	for _, c := range []struct {
		name          string
		grey          []byte // 2x1
		area          inspection.Box
		width, height int
		want          []float64
	}{
		{"pixel for pixel", []byte{0, 255}, box(0, 0, 2, 1), 2, 1, []float64{10, 20}},
		{"between the centres", []byte{0, 255}, box(0, 0, 4, 1), 4, 1, []float64{10, 12.5, 17.5, 20}},
		{"outside the area", []byte{255, 255}, box(1, 0, 3, 1), 4, 2, []float64{10, 20, 20, 10, 10, 10, 10, 10}},
	} {
		m, err := DecodeHeatmap(inspection.Heatmap{PNG: pngOf(2, 1, c.grey), Area: c.area, Low: 10, High: 20})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range m.Scores(c.width, c.height) {
			if math.Abs(got-c.want[i]) > 1e-9 {
				t.Errorf("%s: pixel %d has score %v, want %v", c.name, i, got, c.want[i])
			}
		}
	}
}

func TestHeatmapScoresStayInItsRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 6).Draw(t, "map width"), rapid.IntRange(1, 6).Draw(t, "map height")
		grey := rapid.SliceOfN(rapid.Byte(), w*h, w*h).Draw(t, "grey")
		corner := rapid.Float64Range(-5, 5)
		x, y := corner.Draw(t, "x"), corner.Draw(t, "y")
		area := inspection.Box{X1: x, Y1: y, X2: x + rapid.Float64Range(0.1, 30).Draw(t, "w"), Y2: y + rapid.Float64Range(0.1, 30).Draw(t, "h")}
		m, err := DecodeHeatmap(inspection.Heatmap{PNG: pngOf(w, h, grey), Area: area, Low: -2, High: 3})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range m.Scores(7, 9) {
			if !(s >= -2-1e-9 && s <= 3+1e-9) {
				t.Fatalf("pixel %d has score %v, outside -2..3", i, s)
			}
		}
	})
}

func TestDecodeHeatmapRefuses(t *testing.T) {
	good := inspection.Heatmap{PNG: pngOf(1, 1, []byte{7}), Area: inspection.Box{X2: 1, Y2: 1}, High: 1}
	var colour bytes.Buffer
	_ = png.Encode(&colour, image.NewRGBA(image.Rect(0, 0, 1, 1)))
	for _, c := range []struct {
		change func(*inspection.Heatmap)
		want   string
	}{
		{func(h *inspection.Heatmap) { h.PNG = nil }, "heatmap"},
		{func(h *inspection.Heatmap) { h.PNG = colour.Bytes() }, "8-bit grey"},
		{func(h *inspection.Heatmap) { h.Area = inspection.Box{} }, "area"},
		{func(h *inspection.Heatmap) { h.High = math.NaN() }, "finite"},
		{func(h *inspection.Heatmap) { h.High = math.Inf(1) }, "finite"},
	} {
		h := good
		c.change(&h)
		if _, err := DecodeHeatmap(h); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want one that says %q", h, err, c.want)
		}
	}
}

// write puts a picture into a set's folder.
func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// anomalySet is two normal pictures and one of each of two kinds, 4x2 px, the left half of the defective ones masked.
func anomalySet(t *testing.T) Set {
	dir, black := t.TempDir(), make([]byte, 8)
	for _, f := range []string{"good/1.png", "good/2.png", "cut/1.png", "dent/1.png"} {
		write(t, filepath.Join(dir, f), pngOf(4, 2, black))
	}
	left := []byte{255, 128, 127, 0, 255, 128, 127, 0}
	write(t, filepath.Join(dir, "cut/1_mask.png"), pngOf(4, 2, left))
	write(t, filepath.Join(dir, "dent/1_mask.png"), pngOf(4, 2, left))
	set, err := Read(dir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEvaluateAnomaly(t *testing.T) {
	set := anomalySet(t)
	heat := func(grey ...byte) *inspection.Heatmap {
		return &inspection.Heatmap{PNG: pngOf(4, 1, grey), Area: inspection.Box{X2: 4, Y2: 2}, High: 1}
	}
	var found []Scored
	for i, im := range set.Images {
		s := Scored{Image: i, Score: 0.1, Heatmap: heat(0, 0, 0, 0)}
		switch {
		case im.Class == "cut":
			s.Score, s.Called, s.Heatmap = 0.9, true, heat(255, 255, 0, 0) // seen where it is
		case im.Class == "dent":
			s.Score, s.Heatmap = 0.3, heat(0, 0, 255, 255) // seen where it is not
		case im.File == "good/2.png":
			s.Score, s.Called = 0.5, true
		}
		found = append(found, s)
	}
	ticks := 0
	r, err := EvaluateAnomaly(set, found, func() { ticks++ })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"image AUROC of cut", r.Kinds[0].Image.Area, 1}, {"image AUROC of dent", r.Kinds[1].Image.Area, 0.5}, {"image AUROC", r.All.Image.Area, 0.75},
		{"pixel AUROC of cut", r.Kinds[0].Pixel.Area, 1},
		// 4 defect pixels at 0; of 20 normal ones 4 are above and 16 the same.
		{"pixel AUROC of dent", r.Kinds[1].Pixel.Area, 0.4},
		// 8 defect pixels, 4 at 1 and 4 at 0; of 24 normal ones 4 at 1 and 20 at 0.
		{"pixel AUROC", r.All.Pixel.Area, (0.5*(4.0/24) + 20.0/24 + 0.5*(20.0/24)) / 2},
		{"precision", r.Precision(), 0.5}, {"recall", r.Recall(), 0.5},
	} {
		near(t, c.what, c.got, c.want, 1e-9)
	}
	if r.Kinds[0].Kind != "cut" || r.Kinds[0].Called != 1 || r.All.Pictures != 2 || r.All.Defects != 2 || r.Normal.Pictures != 2 || r.Normal.Called != 1 {
		t.Errorf("counts: %+v", r)
	}
	if ticks != 4 || r.MapWidth != 4 || r.MapHeight != 1 || r.NoPixels != "" {
		t.Errorf("%d ticks, maps of %dx%d, %q; want 4, 4x1 and none", ticks, r.MapWidth, r.MapHeight, r.NoPixels)
	}
}

func TestEvaluateAnomalySaysWhyPixelsAreLeftOut(t *testing.T) {
	set := anomalySet(t)
	found := make([]Scored, len(set.Images))
	for i := range found {
		found[i] = Scored{Image: i}
	}
	none := func() {}
	r, err := EvaluateAnomaly(set, found, none)
	if err != nil || r.NoPixels != "the model gives no heatmap" || !math.IsNaN(r.All.Pixel.Area) || r.All.Image.Area != 0.5 {
		t.Errorf("no heatmap: %v, %q, pixel %v, image %v", err, r.NoPixels, r.All.Pixel.Area, r.All.Image.Area)
	}
	if r, err = EvaluateAnomaly(set, found[1:], none); err != nil || r.Unjudged != 1 || r.All.Pictures+r.Normal.Pictures != 3 {
		t.Errorf("three of four judged: %v, %d left out, %d + %d counted; want 1 and 3", err, r.Unjudged, r.All.Pictures, r.Normal.Pictures)
	}
	found[1].Heatmap = &inspection.Heatmap{}
	if r, err = EvaluateAnomaly(set, found, none); err != nil || r.NoPixels != "3 of 4 results have no heatmap" {
		t.Errorf("one heatmap: %v, %q", err, r.NoPixels)
	}
	for i := range found {
		found[i].Heatmap = &inspection.Heatmap{PNG: pngOf(1, 1, []byte{1}), Area: inspection.Box{X2: 4, Y2: 2}, High: 1}
	}
	write(t, set.Path("cut/1_mask.png"), pngOf(5, 2, make([]byte, 10)))
	if _, err = EvaluateAnomaly(set, found, none); err == nil || !strings.Contains(err.Error(), "one size") {
		t.Errorf("a mask of another size: %v", err)
	}
	if _, err = EvaluateAnomaly(set, nil, none); err == nil || !strings.Contains(err.Error(), "none of 4 pictures") {
		t.Errorf("no answer: got %v", err)
	}
	found[0].Score = math.NaN()
	if _, err = EvaluateAnomaly(set, found, none); err == nil || !strings.Contains(err.Error(), "score") {
		t.Errorf("a score that is no number: %v", err)
	}
}
