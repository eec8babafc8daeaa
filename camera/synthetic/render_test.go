package synthetic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"math"
	"strings"
	"testing"
)

// render draws a board or ends the test.
func render(t *testing.T, s Spec) Pair {
	t.Helper()
	p, err := Render(s)
	if err != nil {
		t.Fatalf("Render(%+v): %v", s, err)
	}
	return p
}

// digest covers everything a Pair says.
func digest(p Pair) string {
	h := sha256.New()
	h.Write(p.Test.Pix)
	h.Write(p.Template.Pix)
	fmt.Fprintf(h, "%v %v %v %v", p.Test.Rect, p.ShiftX, p.ShiftY, p.Defects)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// The digests hold on every machine; if one changes on purpose, golden answers elsewhere that were computed from these pictures change too.
func TestSameSpecGivesSameBytes(t *testing.T) {
	wide := Default()
	wide.Width, wide.Height, wide.Product, wide.Seed, wide.Defects = 1001, 333, 9, 9, 7
	clean := Default()
	clean.Product, clean.Defects, clean.AlignPx, clean.EdgeNoise = 3, 0, 0, 0
	plain := Default()
	plain.Product, plain.Seed = 1, 1
	demo := Default()
	demo.Product, demo.Seed = SetDemo.productSeed(0), SetDemo.boardSeed(17)
	for name, c := range map[string]struct {
		spec Spec
		want string
	}{
		"plain": {plain, "b79e2e501302b39e8e0b4c0407e52695"},
		"wide":  {wide, "ae818e2025692eb83b68c71f16a26a9a"},
		"clean": {clean, "33e84cdbf321ce475d3d1476c67a5bcc"},
		"demo":  {demo, "ca4ec146bdcee09904b040e191cb8831"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := digest(render(t, c.spec)); got != c.want {
				t.Errorf("digest: got %s, want %s", got, c.want)
			}
		})
	}
}

func TestBoardsOfOneProductShareTheirTemplate(t *testing.T) {
	s := Default()
	s.Product, s.Seed = 5, 1
	one := render(t, s)
	s.Seed = 2
	two := render(t, s)
	s.AlignPx, s.Defects = 0.5, 0
	three := render(t, s)
	alone, err := Template(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*image.Gray{"second board": two.Template, "good board": three.Template, "Template": alone} {
		if !bytes.Equal(one.Template.Pix, p.Pix) {
			t.Errorf("%s has another template than the first board", name)
		}
	}
	if bytes.Equal(one.Test.Pix, two.Test.Pix) {
		t.Error("two boards with different seeds are the same picture")
	}
	s.Product = 6
	if other := render(t, s); bytes.Equal(other.Template.Pix, one.Template.Pix) {
		t.Error("two products have the same template")
	}
}

// Away from the boxes and from edges, the tested picture is the shifted template; each box holds a visible difference.
func TestDifferencesLieInBoxes(t *testing.T) {
	for seed := range uint64(16) {
		s := Default()
		s.Product, s.Seed = 100+seed, 200+seed
		switch seed % 4 {
		case 0:
			s.EdgeNoise, s.AlignPx = 0, 0
		case 1:
			s.AlignPx = 16
		}
		p := render(t, s)
		dx, dy := int(math.Round(p.ShiftX)), int(math.Round(p.ShiftY))
		inBoxes, outside := make([]int, len(p.Defects)), 0
		inner := p.Test.Rect.Inset(17)
		for y := inner.Min.Y; y < inner.Max.Y; y++ {
			for x := inner.Min.X; x < inner.Max.X; x++ {
				if p.Test.GrayAt(x, y) == p.Template.GrayAt(x-dx, y-dy) {
					continue
				}
				if k := boxAt(p.Defects, x, y); k >= 0 {
					inBoxes[k]++
				} else if s.EdgeNoise == 0 || !nearEdge(p.Template, x-dx, y-dy, 2) {
					outside++
				}
			}
		}
		if outside > 0 {
			t.Errorf("seed %d: %d px differ away from boxes and edges, want 0", seed, outside)
		}
		for k, n := range inBoxes {
			if box := p.Defects[k].Box; n < 20 && box.In(inner) {
				t.Errorf("seed %d: %s at %v changes %d px, want at least 20", seed, p.Defects[k].Class, box, n)
			}
		}
	}
}

func boxAt(defects []Defect, x, y int) int {
	for k, d := range defects {
		if image.Pt(x, y).In(d.Box) {
			return k
		}
	}
	return -1
}

// nearEdge says whether not all pixels within reach are alike.
func nearEdge(p *image.Gray, x, y, reach int) bool {
	for dy := -reach; dy <= reach; dy++ {
		for dx := -reach; dx <= reach; dx++ {
			if p.GrayAt(x+dx, y+dy) != p.GrayAt(x, y) {
				return true
			}
		}
	}
	return false
}

func TestBoxes(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(30) {
		s := Default()
		s.Product, s.Seed = 300+seed, seed
		p := render(t, s)
		if n := len(p.Defects); n < 3 || n > 12 {
			t.Errorf("seed %d: %d defects, want 3 to 12", seed, n)
		}
		if math.Abs(p.ShiftX) > 2 || math.Abs(p.ShiftY) > 2 {
			t.Errorf("seed %d: shift (%v, %v), want at most 2 px", seed, p.ShiftX, p.ShiftY)
		}
		for i, d := range p.Defects {
			seen[d.Class]++
			if !d.Box.In(p.Test.Rect) || d.Box.Dx() < 12 || d.Box.Dy() < 12 || d.Box.Dx() > 120 || d.Box.Dy() > 120 {
				t.Errorf("seed %d: box %v of %s is not a plausible part of %v", seed, d.Box, d.Class, p.Test.Rect)
			}
			for _, e := range p.Defects[:i] {
				if d.Box.Overlaps(e.Box) {
					t.Errorf("seed %d: boxes %v and %v overlap", seed, d.Box, e.Box)
				}
			}
		}
	}
	for _, class := range Classes() {
		if seen[class] < 10 {
			t.Errorf("%s: planted %d times on 30 boards, want at least 10 (all: %v)", class, seen[class], seen)
		}
	}
}

func TestAskedNumberOfDefects(t *testing.T) {
	for _, want := range []int{0, 1, 6, 20} {
		s := Default()
		s.Product, s.Seed, s.Defects = 2, 2, want
		if got := len(render(t, s).Defects); got != want {
			t.Errorf("Defects %d: got %d defects", want, got)
		}
	}
	crowded := Default()
	crowded.Width, crowded.Height, crowded.Defects = 128, 128, 500
	if _, err := Render(crowded); err == nil || !strings.Contains(err.Error(), "Defects") {
		t.Errorf("500 defects on 128x128: got error %v, want one that names Defects", err)
	}
}

func TestLargePicture(t *testing.T) {
	s := Default()
	s.Width, s.Height, s.Defects = 2600, 1500, 40
	p := render(t, s)
	if got, want := p.Test.Rect, image.Rect(0, 0, 2600, 1500); got != want {
		t.Fatalf("size: got %v, want %v", got, want)
	}
	// Copper in every 640x500 part: the layout fills the whole picture.
	for y := 0; y < 1500; y += 500 {
		for x := 0; x < 2600; x += 650 {
			n := 0
			for j := y; j < y+500; j++ {
				n += bytes.Count(p.Template.Pix[j*p.Template.Stride+x:][:650], []byte{0})
			}
			if share := float64(n) / (650 * 500); share < 0.05 || share > 0.95 {
				t.Errorf("part at (%d,%d): %.0f %% copper, want 5 to 95", x, y, 100*share)
			}
		}
	}
}

func TestBadSpecs(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Spec)
		field  string
	}{
		"no width":      {func(s *Spec) { s.Width = 0 }, "Width"},
		"huge width":    {func(s *Spec) { s.Width = 1 << 20 }, "Width"},
		"small height":  {func(s *Spec) { s.Height = 63 }, "Height"},
		"defects":       {func(s *Spec) { s.Defects = -2 }, "Defects"},
		"many defects":  {func(s *Spec) { s.Defects = 1001 }, "Defects"},
		"negative":      {func(s *Spec) { s.AlignPx = -0.1 }, "AlignPx"},
		"far":           {func(s *Spec) { s.AlignPx = 17 }, "AlignPx"},
		"NaN alignment": {func(s *Spec) { s.AlignPx = math.NaN() }, "AlignPx"},
		"noise":         {func(s *Spec) { s.EdgeNoise = 1.1 }, "EdgeNoise"},
		"NaN noise":     {func(s *Spec) { s.EdgeNoise = math.NaN() }, "EdgeNoise"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Default()
			c.change(&s)
			if p, err := Render(s); err == nil || !strings.Contains(err.Error(), c.field) || p.Test != nil {
				t.Errorf("Render: got error %v, want one that names %s, and no picture", err, c.field)
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	s := Default()
	for b.Loop() {
		s.Product++
		s.Seed++
		if _, err := Render(s); err != nil {
			b.Fatal(err)
		}
	}
}
