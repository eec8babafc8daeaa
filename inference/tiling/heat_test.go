package tiling

import (
	"errors"
	"image"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inspection"
)

// mapOf makes a tile's map of w x h cells, each the value at its centre in the frame.
func mapOf(tile image.Rectangle, w, h int, value func(x, y float64) float64) *decode.Map {
	m := &decode.Map{Width: w, Height: h, Area: inspection.Box{X2: float64(tile.Dx()), Y2: float64(tile.Dy())}}
	for i := range w * h {
		x := float64(tile.Min.X) + (float64(i%w)+0.5)*float64(tile.Dx())/float64(w)
		y := float64(tile.Min.Y) + (float64(i/w)+0.5)*float64(tile.Dy())/float64(h)
		m.Values = append(m.Values, float32(value(x, y)))
	}
	return m
}

func blend(t interface{ Fatal(...any) }, g Grid, of func(i int) *decode.Map) *decode.Map {
	h := NewHeat(g)
	for i := range g.Tiles {
		if err := h.Add(i, of(i)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := h.Map()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A plane is a plane again, whatever the tiles: within what one cell of either map spans.
func TestBlendingShowsNoSeams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGrid(t)
		w, h := rapid.IntRange(1, 60).Draw(t, "cells across"), rapid.IntRange(1, 60).Draw(t, "cells down")
		a, b := rapid.Float64Range(-1, 1).Draw(t, "a"), rapid.Float64Range(-1, 1).Draw(t, "b")
		plane := func(x, y float64) float64 { return a*x/float64(g.Width) + b*y/float64(g.Height) + 3 }
		m := blend(t, g, func(i int) *decode.Map { return mapOf(g.Tiles[i], w, h, plane) })
		if m.Width < 1 || m.Height < 1 || len(m.Values) != m.Width*m.Height || m.Area != (inspection.Box{X2: float64(g.Width), Y2: float64(g.Height)}) {
			t.Fatalf("a map of %d x %d with %d values over %v", m.Width, m.Height, len(m.Values), m.Area)
		}
		cellX, cellY := float64(g.Tiles[0].Dx())/float64(w)+float64(g.Width)/float64(m.Width), float64(g.Tiles[0].Dy())/float64(h)+float64(g.Height)/float64(m.Height)
		most := math.Abs(a)*cellX/float64(g.Width) + math.Abs(b)*cellY/float64(g.Height) + 1e-5
		for i, v := range m.Values {
			want := plane((float64(i%m.Width)+0.5)*float64(g.Width)/float64(m.Width), (float64(i/m.Width)+0.5)*float64(g.Height)/float64(m.Height))
			if math.Abs(float64(v)-want) > most {
				t.Fatalf("cell %d of %d x %d: got %v, want %v within %v", i, m.Width, m.Height, v, want, most)
			}
		}
	})
}

func TestTheRampIsLinear(t *testing.T) {
	m := blend(t, pair, func(i int) *decode.Map {
		return mapOf(pair.Tiles[i], 100, 100, func(float64, float64) float64 { return float64(i) })
	})
	if m.Width != 180 || m.Height != 100 {
		t.Fatalf("got a map of %d x %d, want a cell a pixel", m.Width, m.Height)
	}
	for x, v := range m.Values[:m.Width] {
		want := min(max((float64(x)+0.5-80)/20, 0), 1)
		if math.Abs(float64(v)-want) > 1e-6 {
			t.Errorf("column %d: got %v, want %v", x, v, want)
		}
	}
}

func TestALargeMapIsBoundedAndKeepsItsMean(t *testing.T) {
	g, err := Cut(inspection.Tiling{Width: 640, Height: 640, Overlap: 128}, 5000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	spots := func(x, y float64) float64 { return float64((int(x)/8 + int(y)/8) % 2) }
	m := blend(t, g, func(i int) *decode.Map { return mapOf(g.Tiles[i], 640, 640, spots) })
	if m.Width != MaxMapSide || m.Height != 1000 {
		t.Errorf("got a map of %d x %d, want %d x 1000", m.Width, m.Height, MaxMapSide)
	}
	sum := 0.0
	for _, v := range m.Values {
		sum += float64(v)
	}
	if mean := sum / float64(len(m.Values)); math.Abs(mean-0.5) > 1e-3 {
		t.Errorf("got a mean of %v, want 0.5", mean)
	}
}

func TestALetterboxesBorderIsNoPartOfTheMap(t *testing.T) {
	g := Grid{Width: 180, Height: 50, Tiles: []image.Rectangle{image.Rect(0, 0, 100, 50), image.Rect(80, 0, 180, 50)}}
	m := blend(t, g, func(int) *decode.Map {
		out := mapOf(image.Rect(0, 0, 100, 100), 100, 100, func(_, y float64) float64 {
			if y < 25 || y > 75 {
				return 9 // the border
			}
			return 1
		})
		out.Area.Y1, out.Area.Y2 = -25, 75
		return out
	})
	if m.Width != 180 || m.Height != 50 || slices.Max(m.Values) != 1 {
		t.Errorf("got a map of %d x %d with values up to %v, want 180 x 50 up to 1", m.Width, m.Height, slices.Max(m.Values))
	}
}

func TestMapsThatCannotBeBlended(t *testing.T) {
	one := func(float64, float64) float64 { return 1 }
	if m, err := NewHeat(pair).Map(); m != nil || err != nil {
		t.Errorf("no maps: got %v, %v", m, err)
	}
	h := NewHeat(pair)
	if err := h.Add(0, mapOf(pair.Tiles[0], 10, 10, one)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Map(); !errors.Is(err, inspection.ErrModelOutput) {
		t.Errorf("one tile without: got %v, want ErrModelOutput", err)
	}
	if err := h.Add(1, mapOf(pair.Tiles[1], 20, 10, one)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Map(); !errors.Is(err, inspection.ErrModelOutput) {
		t.Errorf("two densities: got %v, want ErrModelOutput", err)
	}
	short, flat, far := mapOf(pair.Tiles[0], 10, 10, one), mapOf(pair.Tiles[0], 10, 10, one), mapOf(pair.Tiles[0], 10, 10, one)
	short.Values = short.Values[1:]
	flat.Area.X2 = 0
	far.Area.X1, far.Area.X2 = 100, 200
	for _, m := range []*decode.Map{short, flat, far, {}} {
		if err := h.Add(0, m); !errors.Is(err, inspection.ErrModelOutput) {
			t.Errorf("%d x %d over %v: got %v, want ErrModelOutput", m.Width, m.Height, m.Area, err)
		}
	}
}
