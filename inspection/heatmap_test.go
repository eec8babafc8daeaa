package inspection

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// grey decodes a heatmap's picture, which must be 8-bit grey.
func grey(t interface{ Fatalf(string, ...any) }, h *Heatmap) *image.Gray {
	img, err := png.Decode(bytes.NewReader(h.PNG))
	if err != nil {
		t.Fatalf("the heatmap is no PNG: %v", err)
	}
	g, ok := img.(*image.Gray)
	if !ok {
		t.Fatalf("the heatmap is a %T, want 8-bit grey", img)
	}
	return g
}

func TestNewHeatmap(t *testing.T) {
	area := Box{X1: 1, Y1: 2, X2: 31, Y2: 22}
	h, err := NewHeatmap(3, 2, []float32{-1, 0, 1, 3, 1.5, 4}, area)
	if err != nil {
		t.Fatal(err)
	}
	if h.Low != -1 || h.High != 4 || h.Area != area {
		t.Errorf("got %v..%v over %v, want -1..4 over %v", h.Low, h.High, h.Area, area)
	}
	g := grey(t, h)
	if want := []uint8{0, 51, 102, 204, 128, 255}; g.Rect.Dx() != 3 || !slices.Equal(g.Pix, want) {
		t.Errorf("got %v, want %v", g.Pix, want)
	}
	if flat, err := NewHeatmap(2, 1, []float32{7, 7}, area); err != nil || flat.Low != 7 || flat.High != 7 || !slices.Equal(grey(t, flat).Pix, []uint8{0, 0}) {
		t.Errorf("a flat map: got %+v, %v, want grey 0 that stands for 7", flat, err)
	}
}

func TestALargeHeatmapIsAveragedOverAreas(t *testing.T) {
	const w, h = 512, 256
	values := make([]float32, w*h)
	copy(values, []float32{4, 0}) // a block of 2x2: mean 2
	copy(values[w:], []float32{0, 4})
	values[100*w+301] = 16 // the highest, alone in its block
	m, err := NewHeatmap(w, h, values, Box{X2: w, Y2: h})
	if err != nil {
		t.Fatal(err)
	}
	g := grey(t, m)
	if g.Rect.Dx() != 256 || g.Rect.Dy() != 128 {
		t.Fatalf("got %v, want 256x128", g.Rect)
	}
	for _, c := range []struct {
		x, y int
		want uint8
	}{{0, 0, 32}, {150, 50, 255}, {151, 50, 0}, {150, 51, 0}} {
		if got := g.GrayAt(c.x, c.y).Y; got != c.want {
			t.Errorf("grey at %d, %d: got %d, want %d", c.x, c.y, got, c.want)
		}
	}
}

func TestNewHeatmapRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for name, f := range map[string]func() (*Heatmap, error){
		"NaN":           func() (*Heatmap, error) { return NewHeatmap(2, 1, []float32{0, nan}, Box{}) },
		"infinity":      func() (*Heatmap, error) { return NewHeatmap(2, 1, []float32{inf, 0}, Box{}) },
		"too few":       func() (*Heatmap, error) { return NewHeatmap(2, 2, make([]float32, 3), Box{}) },
		"too many":      func() (*Heatmap, error) { return NewHeatmap(2, 2, make([]float32, 5), Box{}) },
		"empty":         func() (*Heatmap, error) { return NewHeatmap(0, 0, nil, Box{}) },
		"negative":      func() (*Heatmap, error) { return NewHeatmap(-1, -1, make([]float32, 1), Box{}) },
		"endless sides": func() (*Heatmap, error) { return NewHeatmap(math.MaxInt, 3, make([]float32, 1), Box{}) },
		"endless area":  func() (*Heatmap, error) { return NewHeatmap(1, 1, make([]float32, 1), Box{X2: math.Inf(1)}) },
	} {
		if h, err := f(); !errors.Is(err, ErrInvalid) || h != nil {
			t.Errorf("%s: got %v, %v, want ErrInvalid", name, h, err)
		}
	}
}

// TestAHeatmapKeepsItsRange: whatever is averaged away, grey 255 stands at the place of the highest value and nowhere is
// anything outside the range; without shrinking, every value comes back to half a grey value.
func TestAHeatmapKeepsItsRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 700).Draw(t, "w"), rapid.IntRange(1, 40).Draw(t, "h")
		if rapid.Bool().Draw(t, "turned") {
			w, h = h, w
		}
		values := make([]float32, w*h)
		for i := range values {
			values[i] = float32(i * 7919 % 1009)
		}
		top := rapid.IntRange(0, len(values)-1).Draw(t, "top")
		values[top] = rapid.Float32Range(1009, 1e6).Draw(t, "highest")
		m, err := NewHeatmap(w, h, values, Box{})
		if err != nil {
			t.Fatal(err)
		}
		g := grey(t, m)
		gw, gh := g.Rect.Dx(), g.Rect.Dy()
		if max(gw, gh) != min(max(w, h), maxHeatmapSide) || m.High != float64(values[top]) {
			t.Fatalf("a map of %dx%d up to %v became %dx%d up to %v", w, h, values[top], gw, gh, m.High)
		}
		if x, y := int((float64(top%w)+0.5)*float64(gw)/float64(w)), int((float64(top/w)+0.5)*float64(gh)/float64(h)); m.Low < m.High && g.GrayAt(x, y).Y != 255 {
			t.Fatalf("the highest value is at %d, %d of %dx%d: got grey %d at %d, %d, want 255", top%w, top/w, w, h, g.GrayAt(x, y).Y, x, y)
		}
		if gw != w || gh != h {
			return
		}
		for i, p := range g.Pix {
			if back := m.Low + float64(p)/255*(m.High-m.Low); math.Abs(back-float64(values[i])) > (m.High-m.Low)/255*0.501 {
				t.Fatalf("value %d: %v came back as %v", i, values[i], back)
			}
		}
	})
}

func TestHeatmapWithoutPNG(t *testing.T) {
	h, err := NewHeatmap(1, 1, []float32{2}, Box{X2: 3, Y2: 4})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.WithoutPNG(); got.PNG != nil || got.Area != h.Area || got.Low != 2 || h.PNG == nil {
		t.Errorf("got %+v of %+v, want all but the picture, and the original untouched", got, h)
	}
	if got := (*Heatmap)(nil).WithoutPNG(); got != nil {
		t.Errorf("of none: got %+v", got)
	}
}
