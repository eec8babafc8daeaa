package chart

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
)

func decode(t *testing.T, b *bytes.Buffer, err error) image.Image {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// isColour reports whether a pixel has a colour of its own, no grey.
func isColour(c color.Color) bool {
	r, g, b, _ := c.RGBA()
	return r != g || g != b
}

func TestCurvesDrawEachLineWhereItIs(t *testing.T) {
	var b bytes.Buffer
	lines := []Line{
		{Name: "diagonal", X: []float64{0, 1}, Y: []float64{0, 1}},
		{Name: "step", X: []float64{0, 0, 1}, Y: []float64{0, 0.75, 0.75}, Mark: &Mark{0.5, 0.25}},
	}
	picture := decode(t, &b, Curves(&b, "title", "x", "y", lines))
	at := func(x, y float64) color.Color { return picture.At(margin+int(side*x), header+side-int(side*y)) }
	c := colours()
	for _, p := range []struct {
		x, y float64
		want color.RGBA
	}{{0.31, 0.31, c[0]}, {0.9, 0.9, c[0]}, {0.3, 0.75, c[1]}, {0.5, 0.25, c[1]}} {
		r, g, b, _ := at(p.x, p.y).RGBA()
		for _, off := range [...]int{int(r>>8) - int(p.want.R), int(g>>8) - int(p.want.G), int(b>>8) - int(p.want.B)} {
			if off < -64 || off > 64 { // its edge is smoothed
				t.Errorf("at %v, %v: %d %d %d, want %v", p.x, p.y, r>>8, g>>8, b>>8, p.want)
				break
			}
		}
	}
	for _, p := range [][2]float64{{0.3, 0.5}, {0.9, 0.1}, {0.5, 0.35}} {
		if isColour(at(p[0], p[1])) {
			t.Errorf("at %v there is a line", p)
		}
	}
}

func TestTextIsWritten(t *testing.T) {
	c, err := newCanvas(60, 20)
	if err != nil {
		t.Fatal(err)
	}
	dark := func(s string) int {
		c.fill(c.Rect, color.RGBA{255, 255, 255, 255})
		c.text(2, 2, s, ink)
		n := 0
		for i := 0; i < len(c.Pix); i += 4 {
			if c.Pix[i] != 255 {
				n++
			}
		}
		return n
	}
	if n := dark(" "); n != 0 {
		t.Errorf("a blank has %d dark pixels", n)
	}
	if dark("l") >= dark("W") || dark("l") == 0 || dark("ll") != 2*dark("l") {
		t.Errorf("dark pixels of l %d, W %d, ll %d", dark("l"), dark("W"), dark("ll"))
	}
	if dark("裂") != dark("?") {
		t.Error("what the font lacks is not a question mark")
	}
}

func TestMatrixShadesByShareOfTheRow(t *testing.T) {
	var b bytes.Buffer
	picture := decode(t, &b, Matrix(&b, "title", []string{"a", "b"}, []string{"a", "b", "none"}, [][]int{{10, 0, 0}, {1, 1, 2}}))
	left := textWidth("predicted:") + 20
	// a corner of a cell, where no digit stands
	shade := func(row, column int) uint32 {
		r, _, _, _ := picture.At(left+column*44+4, 70+row*44+4).RGBA()
		return r >> 8
	}
	if shade(0, 0) != 0x0b || shade(0, 1) != 255 || !(shade(1, 2) < shade(1, 0)) || shade(1, 0) != shade(1, 1) {
		t.Errorf("shades %v %v; %v %v %v", shade(0, 0), shade(0, 1), shade(1, 0), shade(1, 1), shade(1, 2))
	}
}

func TestRefuses(t *testing.T) {
	var b bytes.Buffer
	for want, err := range map[string]error{
		"1 x and 0 y": Curves(&b, "", "", "", []Line{{Name: "l", X: []float64{1}}}),
		"2 rows":      Matrix(&b, "", []string{"a", "b"}, nil, nil),
		"row a has 1": Matrix(&b, "", []string{"a"}, []string{"a", "b"}, [][]int{{1}}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

// There are fewer colours than a set may have kinds: who has the colour of another is told by its width.
func TestCurvesWithOneColourDifferInWidth(t *testing.T) {
	lines := make([]Line, len(colours())+1)
	for i := range lines {
		y := 0.05 + 0.09*float64(i)
		lines[i] = Line{Name: "line", X: []float64{0, 1}, Y: []float64{y, y}}
	}
	var b bytes.Buffer
	picture := decode(t, &b, Curves(&b, "title", "x", "y", lines))
	weight := func(l Line) (n int) {
		middle := header + side - int(side*l.Y[0])
		for y := middle - 4; y <= middle+4; y++ {
			if at := picture.At(margin+side/2+7, y); isColour(at) {
				r, g, b, _ := at.RGBA()
				n += 255 - int(min(r, g, b)>>8)
			}
		}
		return n
	}
	first, last := weight(lines[0]), weight(lines[len(lines)-1])
	if first == 0 || last == 0 || 2*last > first+first/4 {
		t.Errorf("the first line weighs %d, the one that has its colour again %d: want about half", first, last)
	}
}
