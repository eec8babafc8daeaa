//go:build gocv_specific_modules

package imaging

import (
	"bytes"
	"errors"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// plainCut returns the part of p from a corner on, the border of p repeated, as a picture of its own.
func plainCut(t *testing.T, p *Picture, from image.Point, w, h int) *Picture {
	t.Helper()
	out := newTestPicture(t)
	if err := out.reset(w, h, p.c); err != nil {
		t.Fatal(err)
	}
	out.rgb = p.rgb
	for y := range h {
		for x := range w {
			sx, sy := min(max(from.X+x, 0), p.w-1), min(max(from.Y+y, 0), p.h-1)
			copy(out.buf[(y*w+x)*p.c:], p.buf[(sy*p.w+sx)*p.c:][:p.c])
		}
	}
	return out
}

// A tile is filled as a picture is that was cut out there, whatever the input looks like and however far the template moves.
func TestATileIsFilledAsAPictureOfItsOwn(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	w := newTestWorker(t)
	one := func(c Colour) (mean, std []float64) {
		for range c.Components() {
			mean, std = append(mean, 0.5), append(std, 2)
		}
		return mean, std
	}
	for i := range 200 {
		colour := Colour(rng.IntN(3))
		spec := Spec{
			Width: 1 + rng.IntN(40), Height: 1 + rng.IntN(40), Colour: colour, Sources: []Source{FromFrame, FromReference, FromDifference},
			Resize: Resize(rng.IntN(int(ResizeNone) + 1)), Area: rng.IntN(2) == 0, Center: rng.IntN(2) == 0, Pad: 114, Scale: 1.0 / 255, ChannelsLast: rng.IntN(2) == 0,
		}
		spec.Mean, spec.Std = one(colour)
		if i%4 == 0 {
			spec.Sources = spec.Sources[:1]
		}
		fw, fh := 20+rng.IntN(60), 20+rng.IntN(60)
		tw, th := 1+rng.IntN(fw), 1+rng.IntN(fh)
		if spec.Resize == ResizeNone {
			spec.Width, spec.Height = tw, th
		}
		if _, err := spec.Place(tw, th); err != nil { // a line, of which nothing is cut
			spec.Resize = Letterbox
		}
		at := image.Pt(rng.IntN(fw-tw+1), rng.IntN(fh-th+1))
		frame, full := randomPicture(t, rng, fw, fh, colour.Components(), colour == RGB), randomPicture(t, rng, fw, fh, colour.Components(), colour == RGB)
		before := bytes.Clone(frame.buf)
		tpl := &Template{full: *full}
		shift := Shift{X: rng.Float64()*20 - 10, Y: rng.Float64()*20 - 10}
		if i%10 == 9 {
			shift = Shift{X: 100, Y: -200} // no pixel of it is left
		}
		got := make([]byte, spec.SampleBytes())
		place, err := w.FillTile(got, spec, frame, image.Rectangle{Min: at, Max: at.Add(image.Pt(tw, th))}, tpl, shift)
		if err != nil {
			t.Fatal(err)
		}

		moved := image.Pt(int(roundHalfAway(shift.X)), int(roundHalfAway(shift.Y)))
		own, ownRef := plainCut(t, frame, at, tw, th), plainCut(t, full, at.Sub(moved), tw, th)
		ref := &Template{full: *ownRef}
		if err := w.fitInto(&ref.fitted, &w.fitted, spec, &ref.full); err != nil {
			t.Fatal(err)
		}
		want := make([]byte, spec.SampleBytes())
		wantPlace, err := w.Fill(want, spec, own, ref, Shift{})
		if err != nil {
			t.Fatal(err)
		}
		ref.fitted.Close()
		if place != wantPlace || !bytes.Equal(got, want) {
			t.Fatalf("tile of %d x %d px at %v of %d x %d, shift %v, %+v: placed at %+v, want %+v; the same samples: %v", tw, th, at, fw, fh, shift, spec, place, wantPlace, bytes.Equal(got, want))
		}
		if !bytes.Equal(frame.buf, before) {
			t.Fatal("the frame was written to")
		}
	}
}

func roundHalfAway(v float64) float64 {
	if v < 0 {
		return -roundHalfAway(-v)
	}
	return float64(int(v + 0.5))
}

func TestATemplateThatIsOnlyCutIsNotFitted(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	spec := pairSpec
	spec.Resize = ResizeNone
	data := encodePNG(t, board(spec.Width*2, spec.Height, 1))
	tpl := inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: data}
	if _, err := w.NewTemplate(tpl, spec, false); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("twice the input's size, whole: got %v, want ErrInvalid", err)
	}
	got, err := w.NewTiledTemplate(tpl, spec, false, image.Pt(spec.Width, spec.Height))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if err := w.Decode(pngImage(data), Gray, p); err != nil {
		t.Fatal(err)
	}
	slot := make([]byte, spec.SampleBytes())
	if _, err := w.FillTile(slot, spec, p, image.Rect(spec.Width, 0, 2*spec.Width, spec.Height), got, Shift{}); err != nil {
		t.Error(err)
	}
	small, err := w.NewTiledTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(t, board(spec.Width, spec.Height, 1))}, spec, false, image.Pt(spec.Width, spec.Height))
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	if small.fitted.w != spec.Width {
		t.Error("a template that fits into one tile is not ready for Fill")
	}
}

func TestTilesThatCannotBeFilled(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	spec := pairSpec
	data := encodePNG(t, board(spec.Width*2, spec.Height, 1))
	if err := w.Decode(pngImage(data), Gray, p); err != nil {
		t.Fatal(err)
	}
	slot, tile := make([]byte, spec.SampleBytes()), image.Rect(0, 0, spec.Width, spec.Height)
	other, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(t, board(spec.Width, spec.Height, 1))}, spec, false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, c := range []struct {
		name string
		tile image.Rectangle
		t    *Template
		want error
	}{
		{"outside", tile.Add(image.Pt(spec.Width+1, 0)), other, inspection.ErrInvalid},
		{"empty", image.Rectangle{}, other, inspection.ErrInvalid},
		{"no template", tile, nil, inspection.ErrInvalid},
		{"a template of another size", tile, other, inspection.ErrImage},
	} {
		if _, err := w.FillTile(slot, spec, p, c.tile, c.t, Shift{}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := w.FillTile(slot[1:], spec, p, tile, other, Shift{}); err == nil {
		t.Error("a slot of another size: got no error")
	}
}
