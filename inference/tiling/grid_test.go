package tiling

import (
	"errors"
	"image"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
)

// drawTiling draws a tiling and a picture that it makes a moderate number of tiles of.
func drawTiling(t *rapid.T) (inspection.Tiling, int, int) {
	w, h := rapid.IntRange(64, 200).Draw(t, "tile width"), rapid.IntRange(64, 200).Draw(t, "tile height")
	tl := inspection.Tiling{Width: w, Height: h, Overlap: rapid.IntRange(8, min(w, h)/2).Draw(t, "overlap")}
	return tl, rapid.IntRange(1, 900).Draw(t, "width"), rapid.IntRange(1, 900).Draw(t, "height")
}

func drawGrid(t *rapid.T) Grid {
	tl, w, h := drawTiling(t)
	g, err := Cut(tl, w, h)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestTilesCoverThePictureAndShareTheOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tl, w, h := drawTiling(t)
		g, err := Cut(tl, w, h)
		if err != nil {
			t.Fatal(err)
		}
		columns, rows := map[image.Point]bool{}, map[image.Point]bool{}
		for _, r := range g.Tiles {
			if r.Dx() != min(tl.Width, w) || r.Dy() != min(tl.Height, h) || !r.In(image.Rect(0, 0, w, h)) {
				t.Fatalf("tile %v of a picture of %d x %d", r, w, h)
			}
			columns[image.Pt(r.Min.X, r.Max.X)], rows[image.Pt(r.Min.Y, r.Max.Y)] = true, true
		}
		if len(g.Tiles) != len(columns)*len(rows) {
			t.Fatalf("%d tiles in %d columns and %d rows", len(g.Tiles), len(columns), len(rows))
		}
		for _, c := range []struct {
			of           map[image.Point]bool
			length, size int
		}{{columns, w, tl.Width}, {rows, h, tl.Height}} {
			var in []image.Point
			for p := range c.of {
				in = append(in, p)
			}
			slices.SortFunc(in, func(a, b image.Point) int { return a.X - b.X })
			if in[0].X != 0 || in[len(in)-1].Y != c.length {
				t.Fatalf("%v do not reach from 0 to %d", in, c.length)
			}
			for i := range len(in) - 1 {
				if shared := in[i].Y - in[i+1].X; shared < tl.Overlap {
					t.Fatalf("%v and %v share %d px, want %d", in[i], in[i+1], shared, tl.Overlap)
				}
			}
			if n := len(in) - 1; n > 0 && (n-1)*(c.size-tl.Overlap)+c.size >= c.length {
				t.Fatalf("%d tiles of %d cover %d px, and %d would", len(in), c.size, c.length, n)
			}
		}
		if Fits(tl, w, h) != (len(g.Tiles) == 1) {
			t.Fatalf("%d tiles, and Fits says %v", len(g.Tiles), Fits(tl, w, h))
		}
	})
}

func TestTheBoardOfTheIssueAndOneThatIsTooLarge(t *testing.T) {
	g, err := Cut(inspection.Tiling{Width: 1280, Height: 1280, Overlap: 128}, 16000, 8000)
	if err != nil || len(g.Tiles) != 14*7 {
		t.Errorf("16000 x 8000 in tiles of 1280: got %d, %v; want 98", len(g.Tiles), err)
	}
	if _, err := Cut(inspection.Tiling{Width: 64, Height: 64, Overlap: 32}, 16000, 8000); !errors.Is(err, inspection.ErrImageTooLarge) {
		t.Errorf("124 251 tiles: got %v, want ErrImageTooLarge", err)
	}
	if !Fits(inspection.Tiling{}, 16000, 8000) {
		t.Error("a recipe without tiling cuts")
	}
}
