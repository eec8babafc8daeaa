//go:build gocv_specific_modules

package imaging

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// plainFit is how pictures were brought to the input's size before: a border, and the picture copied on it.
func plainFit(t *testing.T, spec Spec, p *Picture) *Picture {
	t.Helper()
	filter := gocv.InterpolationLinear
	if spec.Area {
		filter = gocv.InterpolationArea
	}
	place, err := spec.Place(p.w, p.h)
	if err != nil {
		t.Fatal(err)
	}
	iw, ih := spec.inner(p.w, p.h)
	inner, out := newTestPicture(t), newTestPicture(t)
	if err := inner.resize(p, iw, ih, filter); err != nil {
		t.Fatal(err)
	}
	if err := out.reset(spec.Width, spec.Height, p.c); err != nil {
		t.Fatal(err)
	}
	for i := range out.buf {
		out.buf[i] = byte(math.Round(spec.Pad))
	}
	for y := range ih {
		copy(out.buf[((y+int(place.OffsetY))*spec.Width+int(place.OffsetX))*p.c:][:iw*p.c], inner.buf[y*iw*p.c:])
	}
	return out
}

// plainFill is how samples were filled before, value by value from grey or BGR.
func plainFill(dst []byte, spec Spec, frame, reference *Picture) {
	n, comps := spec.Width*spec.Height, spec.Colour.Components()
	size := 4
	if spec.Uint8 {
		size = 1
	}
	channel, stride := n*size, 1
	if spec.ChannelsLast {
		channel, stride = size, comps*len(spec.Sources)
	}
	for i, source := range spec.Sources {
		for c := range comps {
			from := c
			if spec.Colour == RGB {
				from = 2 - c
			}
			out, src := dst[(i*comps+c)*channel:], frame
			if source == FromReference {
				src = reference
			}
			a, b := spec.affine(c)
			switch {
			case source == FromDifference:
				difference(out, frame.buf[from:], reference.buf[from:], n, stride, comps, a)
			case spec.Uint8:
				copyStrided(out, src.buf[from:], n, stride, comps)
			default:
				affine(out, src.buf[from:], n, stride, comps, a, b)
			}
		}
	}
}

// Samples are bit for bit what they were when every colour picture was BGR: for each layout, type, order and source.
func TestSamplesAreTheSameBits(t *testing.T) {
	w, p, q := newTestWorker(t), newTestPicture(t), newTestPicture(t)
	rng := rand.New(rand.NewPCG(31, 32))
	kinds := map[bool]int{}
	for i := range 600 {
		fw, fh := 3+rng.IntN(60), 3+rng.IntN(60)
		spec := Spec{
			Width: 1 + rng.IntN(40), Height: 1 + rng.IntN(40), Colour: []Colour{Gray, BGR, RGB}[rng.IntN(3)], ChannelsLast: rng.IntN(2) == 0, Uint8: rng.IntN(2) == 0,
			Resize: []Resize{Letterbox, Stretch}[rng.IntN(2)], Area: rng.IntN(2) == 0, Center: rng.IntN(2) == 0, Pad: float64(rng.IntN(256)), Scale: 1,
		}
		if rng.IntN(3) == 0 {
			spec.Width, spec.Height = fw, fh
		}
		spec.Sources = [][]Source{{FromFrame}, {FromFrame}, {FromReference}, {FromReference, FromFrame}, {FromFrame, FromReference, FromDifference}}[rng.IntN(5)]
		if spec.Uint8 && len(spec.Sources) == 3 {
			spec.Sources = spec.Sources[:2]
		}
		for range spec.Colour.Components() {
			mean, std := 0.0, 1.0
			if !spec.Uint8 {
				mean, std = rng.Float64()*100, 0.5+rng.Float64()
			}
			spec.Mean, spec.Std = append(spec.Mean, mean), append(spec.Std, std)
		}
		if err := spec.Validate(); err != nil {
			t.Fatal(err)
		}
		// Frames of every kind that knows its order: JPEG, PNG, and raw of both orders.
		im := jpegImage(encodeJPEG(t, photo(fw, fh), 85))
		switch i % 4 {
		case 1:
			im = pngImage(encodePNG(t, photo(fw, fh)))
		case 2, 3:
			im = rawFrame([]inspection.PixelFormat{inspection.RGB8, inspection.BGR8}[i%2], fw, fh)
		}
		tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatJPEG, Data: encodeJPEG(t, colourScene(fw, fh), 85)}, spec, false)
		if err != nil {
			t.Fatal(err)
		}
		shift := Shift{X: float64(rng.IntN(3) - 1)}
		old := spec.Colour
		if old == RGB {
			old = BGR
		}
		if err := w.Decode(im, old, p); err != nil {
			t.Fatal(err)
		}
		reference := newTestPicture(t)
		if err := w.Decode(jpegImage(encodeJPEG(t, colourScene(fw, fh), 85)), old, q); err != nil {
			t.Fatal(err)
		}
		if err := reference.reset(fw, fh, q.c); err != nil {
			t.Fatal(err)
		}
		shiftInto(reference, q, int(shift.X), 0)
		want, got := cAlloc(spec.SampleBytes()), cAlloc(spec.SampleBytes())
		set(want, 0xA5)
		set(got, 0x5A)
		plainFill(want, spec, plainFit(t, spec, p), plainFit(t, spec, reference))
		if err := w.DecodeFor(im, []Spec{spec}, false, p); err != nil {
			t.Fatal(err)
		}
		kinds[p.rgb]++
		if _, err := w.Fill(got, spec, p, tpl, shift); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d: frame of %d x %d px, %s, spec %+v, shift %v: other bytes than before", i, fw, fh, im.Format, spec, shift)
		}
		tpl.Close()
		cFree(want)
		cFree(got)
	}
	if kinds[true] < 50 || kinds[false] < 50 {
		t.Errorf("got %d pictures in RGB and %d in BGR or grey, want many of each", kinds[true], kinds[false])
	}
}

// A plane out of three is filled by another loop than values at a distance. Both give the same bits.
func TestPlanesAreTheSameBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for range 200 {
		n := 1 + rng.IntN(300)
		src := make([]byte, 3*n)
		for i := range src {
			src[i] = byte(rng.Uint32())
		}
		from := rng.IntN(3)
		a, b := float32(rng.NormFloat64()), float32(100*rng.NormFloat64())
		plane, apart := cAlloc(4*n), cAlloc(8*n)
		affine(plane, src[from:], n, 1, 3, a, b)
		affine(apart, src[from:], n, 2, 3, a, b)
		bytesPlane, bytesApart := bytes.Repeat([]byte{0xA5}, n+1), make([]byte, 2*n)
		copyStrided(bytesPlane, src[from:], n, 1, 3)
		copyStrided(bytesApart, src[from:], n, 2, 3)
		for i := range n {
			if got, want := math.Float32bits(floats(plane)[i]), math.Float32bits(floats(apart)[2*i]); got != want {
				t.Fatalf("%v * %d + %v: got bits %#x in a plane, want %#x", a, src[from+3*i], b, got, want)
			}
			if want := src[from+3*i]; bytesPlane[i] != want || bytesApart[2*i] != want || bytesPlane[n] != 0xA5 {
				t.Fatalf("byte %d of %d: got %d and %d, want %d and nothing beyond", i, n, bytesPlane[i], bytesApart[2*i], want)
			}
		}
		cFree(plane)
		cFree(apart)
	}
}
