package tiling

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
)

// sees returns what an ideal model says of things in a tile: the part of each that lies in it, in pixels of the tile.
func sees(things []inspection.Candidate, tile image.Rectangle) []inspection.Candidate {
	var out []inspection.Candidate
	for _, c := range things {
		b := intersect(c.Box, box(tile))
		if area(b) == 0 {
			continue
		}
		dx, dy := float64(tile.Min.X), float64(tile.Min.Y)
		c.Box = inspection.Box{X1: b.X1 - dx, Y1: b.Y1 - dy, X2: b.X2 - dx, Y2: b.Y2 - dy}
		out = append(out, c)
	}
	return out
}

func allSee(g Grid, things []inspection.Candidate) [][]inspection.Candidate {
	said := make([][]inspection.Candidate, len(g.Tiles))
	for i, tile := range g.Tiles {
		said[i] = sees(things, tile)
	}
	return said
}

// drawThings draws things of whole pixels that do not touch each other.
func drawThings(t *rapid.T, g Grid) []inspection.Candidate {
	var out []inspection.Candidate
	for i := range rapid.IntRange(0, 12).Draw(t, "things") {
		x, y := rapid.IntRange(0, g.Width-1).Draw(t, "x"), rapid.IntRange(0, g.Height-1).Draw(t, "y")
		b := inspection.Box{X1: float64(x), Y1: float64(y), X2: float64(min(x+rapid.IntRange(1, 400).Draw(t, "w"), g.Width)), Y2: float64(min(y+rapid.IntRange(1, 400).Draw(t, "h"), g.Height))}
		if !slices.ContainsFunc(out, func(c inspection.Candidate) bool { return shared(c.Box, b) > 0 }) {
			out = append(out, inspection.Candidate{Class: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "class"), Score: 0.9 - float64(i)/100, Box: b})
		}
	}
	return out
}

// Whatever the size of a thing, smaller than the overlap or larger than a tile: it is found once, with its box.
func TestEveryThingIsFoundOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGrid(t)
		things := drawThings(t, g)
		got, err := Merge(g, allSee(g, things))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(append([]inspection.Candidate{}, got...), append([]inspection.Candidate{}, things...)) {
			t.Fatalf("\n got %v\nwant %v", got, things)
		}
	})
}

// drawSaid draws anything that a model may say of tiles.
func drawSaid(t *rapid.T, g Grid) [][]inspection.Candidate {
	said := make([][]inspection.Candidate, len(g.Tiles))
	for i, tile := range g.Tiles {
		for range rapid.IntRange(0, 6).Draw(t, "candidates") {
			w, h := float64(tile.Dx()), float64(tile.Dy())
			x1, y1 := rapid.Float64Range(0, w*0.99).Draw(t, "x1"), rapid.Float64Range(0, h*0.99).Draw(t, "y1")
			if rapid.Bool().Draw(t, "at the border") {
				x1 = rapid.SampledFrom([]float64{0, w - 20}).Draw(t, "side")
				x1 = max(x1, 0)
			}
			b := inspection.Box{X1: x1, Y1: y1, X2: min(w, x1+rapid.Float64Range(0.5, w).Draw(t, "w")), Y2: min(h, y1+rapid.Float64Range(0.5, h).Draw(t, "h"))}
			said[i] = append(said[i], inspection.Candidate{Class: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "class"), Score: rapid.Float64Range(0, 1).Draw(t, "score"), Box: b})
		}
	}
	return said
}

func TestMergingKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGrid(t)
		said := drawSaid(t, g)
		got, err := Merge(g, said)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(got, func(a, b inspection.Candidate) int { return cmp.Compare(b.Score, a.Score) }) {
			t.Fatalf("not by falling score: %v", got)
		}
		for _, c := range got {
			if b := c.Box; b.X1 < 0 || b.Y1 < 0 || b.X2 > float64(g.Width) || b.Y2 > float64(g.Height) {
				t.Fatalf("%v lies outside a picture of %d x %d", b, g.Width, g.Height)
			}
		}
		for i, tile := range g.Tiles {
			for _, c := range said[i] {
				c.Box = inspection.Box{X1: c.Box.X1 + float64(tile.Min.X), Y1: c.Box.Y1 + float64(tile.Min.Y), X2: c.Box.X2 + float64(tile.Min.X), Y2: c.Box.Y2 + float64(tile.Min.Y)}
				alone := true
				for j, other := range g.Tiles {
					alone = alone && (i == j || area(intersect(c.Box, box(other))) == 0)
				}
				if alone && !slices.ContainsFunc(got, func(k inspection.Candidate) bool { return reflect.DeepEqual(k, c) }) {
					t.Fatalf("%v lies in one tile alone, and is not among %v", c, got)
				}
				if !slices.ContainsFunc(got, func(k inspection.Candidate) bool {
					return k.Class == c.Class && k.Score >= c.Score && shared(k.Box, c.Box) > 0
				}) {
					t.Fatalf("nothing stands for %v among %v", c, got)
				}
			}
		}
	})
}

func TestTheOrderOfTilesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGrid(t)
		said := drawSaid(t, g)
		want, err := Merge(g, said)
		if err != nil {
			t.Fatal(err)
		}
		other := Grid{Width: g.Width, Height: g.Height, Tiles: slices.Clone(g.Tiles)}
		mixed := slices.Clone(said)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		random.Shuffle(len(mixed), func(i, j int) {
			other.Tiles[i], other.Tiles[j], mixed[i], mixed[j] = other.Tiles[j], other.Tiles[i], mixed[j], mixed[i]
		})
		for i := range mixed {
			mixed[i] = slices.Clone(mixed[i])
			random.Shuffle(len(mixed[i]), func(a, b int) { mixed[i][a], mixed[i][b] = mixed[i][b], mixed[i][a] })
		}
		got, err := Merge(other, mixed)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("\n got %v, %v\nwant %v", got, err, want)
		}
	})
}

// Two tiles of 100 x 100 px that share the columns from 80 to 100.
var pair = Grid{Width: 180, Height: 100, Tiles: []image.Rectangle{image.Rect(0, 0, 100, 100), image.Rect(80, 0, 180, 100)}}

func at(score, x1, y1, x2, y2 float64) inspection.Candidate {
	return inspection.Candidate{Class: "a", Score: score, Box: inspection.Box{X1: x1, Y1: y1, X2: x2, Y2: y2}}
}

func TestWhatIsSeenTwice(t *testing.T) {
	of := func(class string, c inspection.Candidate) inspection.Candidate { c.Class = class; return c }
	for _, c := range []struct {
		name              string
		left, right, want []inspection.Candidate // left and right in px of their tile
	}{
		{"whole in both: the higher score", []inspection.Candidate{at(0.5, 84, 10, 96, 20)}, []inspection.Candidate{at(0.7, 5, 11, 17, 21)}, []inspection.Candidate{at(0.7, 85, 11, 97, 21)}},
		{"beside each other", []inspection.Candidate{at(0.5, 84, 10, 90, 20)}, []inspection.Candidate{at(0.7, 10, 10, 16, 20)}, []inspection.Candidate{at(0.7, 90, 10, 96, 20), at(0.5, 84, 10, 90, 20)}},
		{"a partial view, with a box that is too large", []inspection.Candidate{at(0.6, 70, 10, 88, 30)}, []inspection.Candidate{at(0.4, 0, 12, 11, 30)}, []inspection.Candidate{at(0.6, 70, 10, 88, 30)}},
		{"a partial view that is surer", []inspection.Candidate{at(0.4, 70, 10, 88, 30)}, []inspection.Candidate{at(0.6, 0, 12, 8, 30)}, []inspection.Candidate{at(0.6, 70, 10, 88, 30)}},
		{"cut in both", []inspection.Candidate{at(0.6, 20, 10, 100, 20)}, []inspection.Candidate{at(0.8, 0, 12, 70, 22)}, []inspection.Candidate{at(0.8, 20, 10, 150, 22)}},
		{"cut in both, of one the box is too large", []inspection.Candidate{at(0.6, 20, 10, 100, 20)}, []inspection.Candidate{at(0.8, 0, 12, 70, 40)}, []inspection.Candidate{at(0.8, 20, 10, 150, 40)}},
		{"cut in both, one above the other", []inspection.Candidate{at(0.6, 20, 10, 100, 20)}, []inspection.Candidate{at(0.8, 0, 18, 70, 28)}, []inspection.Candidate{at(0.8, 80, 18, 150, 28), at(0.6, 20, 10, 100, 20)}},
		{"another class", []inspection.Candidate{at(0.6, 20, 10, 100, 20)}, []inspection.Candidate{of("b", at(0.8, 0, 10, 70, 20))}, []inspection.Candidate{of("b", at(0.8, 80, 10, 150, 20)), at(0.6, 20, 10, 100, 20)}},
		{"a small whole thing on a long cut one", []inspection.Candidate{at(0.6, 85, 12, 90, 16)}, []inspection.Candidate{at(0.8, 0, 10, 70, 20)}, []inspection.Candidate{at(0.8, 80, 10, 150, 20), at(0.6, 85, 12, 90, 16)}},
		{"continues one that ends short of the border", []inspection.Candidate{at(0.6, 20, 10, 97, 20)}, []inspection.Candidate{at(0.8, 0, 10, 70, 20)}, []inspection.Candidate{at(0.8, 20, 10, 150, 20)}},
		{"twice in one tile", []inspection.Candidate{at(0.6, 84, 10, 96, 20), at(0.5, 84, 11, 96, 21)}, nil, []inspection.Candidate{at(0.6, 84, 10, 96, 20), at(0.5, 84, 11, 96, 21)}},
	} {
		got, err := Merge(pair, [][]inspection.Candidate{c.left, c.right})
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %v, %v\nwant %v", c.name, got, err, c.want)
		}
	}
}

// masked gives each candidate a mask of a picture that is spotted all over, as far as it lies in its box.
func masked(width, height, dx, dy int, cs []inspection.Candidate) []inspection.Candidate {
	for i, c := range cs {
		x, y, w, h := int(c.Box.X1), int(c.Box.Y1), int(c.Box.W()), int(c.Box.H())
		bits := make([]bool, w*h)
		for k := range bits {
			bits[k] = (x+dx+k%w)*7%5 != (y+dy+k/w)%3
		}
		cs[i].Mask = inspection.EncodeMask(width, height, x, y, w, h, bits)
	}
	return cs
}

func TestMasksAreUnited(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGrid(t)
		things := drawThings(t, g)
		said := allSee(g, things)
		for i, tile := range g.Tiles {
			said[i] = masked(tile.Dx(), tile.Dy(), tile.Min.X, tile.Min.Y, said[i])
		}
		want := masked(g.Width, g.Height, 0, 0, things)
		got, err := Merge(g, said)
		if err != nil || len(got) != len(want) {
			t.Fatalf("got %d, %v; want %d", len(got), err, len(want))
		}
		for i := range want {
			if got[i].Mask == nil || *got[i].Mask != *want[i].Mask {
				t.Fatalf("%v: got mask %+v, want %+v", want[i].Box, got[i].Mask, want[i].Mask)
			}
		}
	})
}

func TestWhatOneTileMarksTheOtherDoesNotErase(t *testing.T) {
	left, right := at(0.6, 20, 10, 100, 12), at(0.8, 0, 10, 70, 12)
	upper, both := make([]bool, 130*2), make([]bool, 130*2)
	for i := range both {
		upper[i] = i < 80
		both[i] = i < 80 || i >= 130+60
	}
	left.Mask = inspection.EncodeMask(100, 100, 20, 10, 80, 2, upper[:160])
	lower := make([]bool, 70*2)
	for i := range lower {
		lower[i] = i >= 70
	}
	right.Mask = inspection.EncodeMask(100, 100, 0, 10, 70, 2, lower)
	got, err := Merge(pair, [][]inspection.Candidate{{left}, {right}})
	want := inspection.EncodeMask(180, 100, 20, 10, 130, 2, both)
	if err != nil || len(got) != 1 || got[0].Mask == nil || *got[0].Mask != *want {
		t.Errorf("got %v, %v; want one with what either tile marked", got, err)
	}
}

func TestAUnitedMaskClaimsNothingThatNobodyLookedAt(t *testing.T) {
	left, right := []inspection.Candidate{at(0.6, 20, 10, 100, 20)}, []inspection.Candidate{at(0.8, 0, 10, 70, 20)}
	left = masked(100, 100, 0, 0, left)
	got, err := Merge(pair, [][]inspection.Candidate{left, right})
	if err != nil || len(got) != 1 || got[0].Mask != nil {
		t.Errorf("a part has no mask: got %v, %v; want one without", got, err)
	}
	right = masked(100, 99, 0, 0, right)
	if _, err := Merge(pair, [][]inspection.Candidate{left, right}); !errors.Is(err, inspection.ErrModelOutput) {
		t.Errorf("a mask of another size than the tile: got %v, want ErrModelOutput", err)
	}
	right[0].Mask = &inspection.Mask{Width: 100, Height: 100, Counts: "1"}
	if _, err := Merge(pair, [][]inspection.Candidate{left, right}); !errors.Is(err, inspection.ErrModelOutput) {
		t.Errorf("a mask that covers one pixel of the tile: got %v, want ErrModelOutput", err)
	}
}

func TestARegionKeepsItsPlaceBesideATileThatHoldsSomething(t *testing.T) {
	region := masked(100, 100, 0, 0, []inspection.Candidate{at(0.9, 80, 10, 100, 20)})
	three := Grid{Width: 260, Height: 100, Tiles: append(slices.Clone(pair.Tiles), image.Rect(160, 0, 260, 100))}
	got, err := Merge(three, [][]inspection.Candidate{region, {at(0.2, 0, 0, 100, 100)}, {at(0.3, 0, 0, 100, 100)}})
	if err != nil || len(got) != 2 || got[0].Box != region[0].Box || got[0].Mask == nil || got[1].Score != 0.3 || got[1].Box != (inspection.Box{X1: 80, X2: 260, Y2: 100}) {
		t.Errorf("got %v, %v; want the region as it is, and one box of the two tiles that hold something", got, err)
	}
}

func TestTooManyCandidates(t *testing.T) {
	many := slices.Repeat([]inspection.Candidate{at(0.5, 1, 1, 2, 2)}, MaxCandidates)
	if got, err := Merge(pair, [][]inspection.Candidate{many, nil}); err != nil || len(got) != MaxCandidates {
		t.Errorf("as many as there may be: got %d, %v", len(got), err)
	}
	_, err := Merge(pair, [][]inspection.Candidate{many, many[:1]})
	if !errors.Is(err, inspection.ErrModelOutput) {
		t.Error(fmt.Errorf("one more: got %w, want ErrModelOutput", err))
	}
}
