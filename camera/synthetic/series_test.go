package synthetic

import (
	"bytes"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func TestSeedsOfSetsAreDisjoint(t *testing.T) {
	sets := []Set{SetDemo, SetTest, SetTraining}
	owner := map[uint64]string{}
	claim := func(seed uint64, who string) {
		t.Helper()
		if other, taken := owner[seed]; taken {
			t.Fatalf("seed %#x belongs to %s and to %s", seed, other, who)
		}
		owner[seed] = who
	}
	for _, s := range sets {
		for i := range 2000 {
			claim(s.boardSeed(i), s.String()+" boards")
			claim(s.boardSeed(maxBoards-1-i), s.String()+" boards")
		}
		for p := range maxProducts {
			claim(s.productSeed(p), s.String()+" products")
		}
		// All seeds of a set, also those not tried above, lie between these two, which no other set reaches.
		for _, seed := range []uint64{s.boardSeed(0), s.boardSeed(maxBoards - 1), s.productSeed(0), s.productSeed(maxProducts - 1)} {
			if got := Set(seed >> setShift); got != s {
				t.Errorf("seed %#x of %s carries the number of %s", seed, s, got)
			}
		}
	}
}

func TestSeries(t *testing.T) {
	config := DefaultSeries(SetTest)
	config.Products, config.GoodPercent = 3, 40
	series, err := NewSeries(config)
	if err != nil {
		t.Fatal(err)
	}
	templates := map[string][]byte{}
	for p := range series.Products() {
		key, picture, err := series.Template(p)
		if err != nil {
			t.Fatal(err)
		}
		templates[key] = picture.Pix
	}
	if len(templates) != 3 {
		t.Fatalf("template keys: got %d different ones, want 3", len(templates))
	}
	serials, good := map[string]bool{}, 0
	for i := range 20 {
		b, err := series.Board(i)
		if err != nil {
			t.Fatal(err)
		}
		serials[b.Serial] = true
		if !bytes.Equal(templates[b.Reference], b.Template.Pix) {
			t.Errorf("board %d: the template under its reference key %q is not its own", i, b.Reference)
		}
		if b.View != "top" {
			t.Errorf("board %d: view: got %q, want top", i, b.View)
		}
		if len(b.Defects) == 0 {
			good++
		}
	}
	if !serials["TEST-000017"] || len(serials) != 20 {
		t.Errorf("serials: got %v, want 20 different ones with TEST-000017", serials)
	}
	if good < 3 || good > 15 {
		t.Errorf("good boards: got %d of 20, want about 8", good)
	}
	one, err := series.Board(7)
	if err != nil {
		t.Fatal(err)
	}
	again, err := series.Board(7)
	if err != nil {
		t.Fatal(err)
	}
	if digest(one.Pair) != digest(again.Pair) {
		t.Error("board 7 drawn twice: got two different boards")
	}
}

func TestBadSeries(t *testing.T) {
	for field, change := range map[string]func(*SeriesConfig){
		"Set":          func(c *SeriesConfig) { c.Set = 0 },
		"Products":     func(c *SeriesConfig) { c.Products = 0 },
		"GoodPercent":  func(c *SeriesConfig) { c.GoodPercent = 101 },
		"Spec.Product": func(c *SeriesConfig) { c.Spec.Product = 1 },
		"Spec.Seed":    func(c *SeriesConfig) { c.Spec.Seed = 1 },
		"Width":        func(c *SeriesConfig) { c.Spec.Width = 1 },
	} {
		c := DefaultSeries(SetDemo)
		change(&c)
		if _, err := NewSeries(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("bad %s: got error %v, want one that names it", field, err)
		}
	}
	series, err := NewSeries(DefaultSeries(SetDemo))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := series.Board(-1); err == nil {
		t.Error("board -1: got no error")
	}
	if _, _, err := series.Template(4); err == nil {
		t.Error("template 4 of 4: got no error")
	}
}

func TestEncodings(t *testing.T) {
	s := Default()
	s.Width, s.Height = 320, 200
	p := render(t, s)
	data, err := PNG(p.Test)
	if err != nil {
		t.Fatal(err)
	}
	lossless, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	data, err = p.JPEG(95)
	if err != nil {
		t.Fatal(err)
	}
	lossy, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for y := range 200 {
		for x := range 320 {
			want := uint32(p.Test.GrayAt(x, y).Y) * 0x101
			if got, _, _, _ := lossless.At(x, y).RGBA(); got != want {
				t.Fatalf("PNG at (%d,%d): got %#x, want %#x", x, y, got, want)
			}
			if got, _, _, _ := lossy.At(x, y).RGBA(); (got > 0x7fff) != (want > 0x7fff) {
				wrong++
			}
		}
	}
	if wrong > 0 {
		t.Errorf("JPEG at quality 95: %d px on the wrong side of the middle, want 0", wrong)
	}
	if _, err := p.JPEG(0); err == nil || !strings.Contains(err.Error(), "quality") {
		t.Errorf("quality 0: got error %v, want one that names it", err)
	}
}
