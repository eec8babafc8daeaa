//go:build gocv_specific_modules

package imaging

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// randomPicture has noise, and now and then the values at which sums grow fastest.
func randomPicture(t testing.TB, rng *rand.Rand, w, h, c int, rgb bool) *Picture {
	t.Helper()
	p := newTestPicture(t)
	if err := p.reset(w, h, c); err != nil {
		t.Fatal(err)
	}
	p.rgb = rgb
	kind := rng.IntN(4)
	for i := range p.buf {
		switch kind {
		case 0:
			p.buf[i] = 255
		case 1:
			p.buf[i] = byte(255 * ((i/c%w + i/c/w) % 2)) // a chessboard: the strongest Laplacian
		default:
			p.buf[i] = byte(rng.Uint32())
		}
	}
	return p
}

// plainGray is the grey form by the definition, in Go.
func plainGray(p *Picture) []byte {
	if p.c == 1 {
		return p.buf
	}
	b, r := 0, 2
	if p.rgb {
		b, r = 2, 0
	}
	out := make([]byte, p.w*p.h)
	for i := range out {
		px := p.buf[3*i:]
		out[i] = byte((int(px[b])*3735 + int(px[1])*19235 + int(px[r])*9798 + 1<<14) >> 15)
	}
	return out
}

// plainMoments is what moments promises, in Go, over the rows given.
func plainMoments(gray []byte, w, h int, rows []int32) (mean, variance, sharpness float64) {
	reflect := func(i, n int) int {
		if n == 1 {
			return 0
		}
		return min(abs(i), 2*(n-1)-abs(i))
	}
	at := func(x, y int) int { return int(gray[reflect(y, h)*w+reflect(x, w)]) }
	var sum, sumsq, lap, lapsq int
	for _, row := range rows {
		for x, y := 0, int(row); x < w; x++ {
			v := at(x, y)
			l := at(x-1, y) + at(x+1, y) + at(x, y-1) + at(x, y+1) - 4*v
			sum, sumsq, lap, lapsq = sum+v, sumsq+v*v, lap+l, lapsq+l*l
		}
	}
	n := float64(len(rows)) * float64(w)
	mean, m := float64(sum)/n, float64(lap)/n
	return mean, max(float64(sumsq)/n-mean*mean, 0), max(float64(lapsq)/n-m*m, 0)
}

func TestMomentsAreThoseOfTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 400 {
		w, h, c := 1+rng.IntN(200), 1+rng.IntN(9), 1+2*rng.IntN(2)
		if i%10 == 0 {
			w = 1 + rng.IntN(40_000) // longer than what 16 and 32 bits hold in a row
		}
		p := randomPicture(t, rng, w, h, c, rng.IntN(2) == 0)
		var all, some []int32
		for y := range int32(h) {
			all = append(all, y)
			if rng.IntN(2) == 0 || y == 0 {
				some = append(some, y)
			}
		}
		scratch := make([]byte, 3*w)
		for _, rows := range [][]int32{all, some, nil} {
			want := rows
			if rows == nil {
				want = all
			}
			wm, wv, ws := plainMoments(plainGray(p), w, h, want)
			for _, plain := range []bool{false, true} {
				if m, v, s := moments(p, rows, scratch, plain); m != wm || v != wv || s != ws {
					t.Fatalf("%d x %d x %d px, rows %v, plain %v: got %v, %v, %v; want %v, %v, %v", w, h, c, rows, plain, m, v, s, wm, wv, ws)
				}
			}
		}
		p.Close()
	}
}

func TestGrayIsThatOfOpenCV(t *testing.T) {
	w, rng := newTestWorker(t), rand.New(rand.NewPCG(5, 6))
	for range 200 {
		p := randomPicture(t, rng, 1+rng.IntN(150), 1+rng.IntN(3), 3, rng.IntN(2) == 0)
		want, err := w.grayOf(p)
		if err != nil {
			t.Fatal(err)
		}
		n := p.w * p.h
		for _, plain := range []bool{false, true} {
			got := bytes.Repeat([]byte{0xA5}, n+1)
			luma(got, p.buf, n, p.rgb, plain)
			if !bytes.Equal(got[:n], want.buf) || got[n] != 0xA5 {
				t.Fatalf("%d px, rgb %v, plain %v: got %v, want %v and nothing beyond", n, p.rgb, plain, got, want.buf)
			}
		}
	}
	// Every colour, at a distance of 5 in each component.
	p := newTestPicture(t)
	if err := p.reset(52*52*52, 1, 3); err != nil {
		t.Fatal(err)
	}
	for i := range p.w {
		p.buf[3*i], p.buf[3*i+1], p.buf[3*i+2] = byte(i%52*5), byte(i/52%52*5), byte(i/52/52*5)
	}
	for _, p.rgb = range []bool{false, true} {
		want, err := w.grayOf(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := make([]byte, p.w); func() bool { luma(got, p.buf, p.w, p.rgb, false); return !bytes.Equal(got, want.buf) }() {
			t.Errorf("rgb %v: some colour has another grey value than OpenCV's", p.rgb)
		}
	}
}

func TestMeasureOfColourIsThatOfItsGray(t *testing.T) {
	w, rng := newTestWorker(t), rand.New(rand.NewPCG(7, 8))
	for range 50 {
		p := randomPicture(t, rng, 1+rng.IntN(90), 1+rng.IntN(40), 3, rng.IntN(2) == 0)
		got, err := w.Measure(p)
		if err != nil {
			t.Fatal(err)
		}
		gray, err := w.grayOf(p)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := w.Measure(gray); err != nil || got != want {
			t.Fatalf("%d x %d px, rgb %v: got %+v, want %+v (%v)", p.w, p.h, p.rgb, got, want, err)
		}
	}
}

func TestMeasuredRows(t *testing.T) {
	for _, c := range []struct{ w, h, want int }{
		{1, 1, 1}, {1024, 1024, 1024}, {1 << 20, 1, 1}, {1 << 21, 3, 1}, {1, 1 << 21, 1 << 18}, {1025, 1024, 255},
		{2592, 1944, 101}, {5472, 3648, 47}, {4096, 2048, 64}, {20, 60_000, 13107},
	} {
		rows := measuredRows(nil, c.w, c.h)
		if len(rows) != c.want {
			t.Errorf("%d x %d: got %d rows, want %d", c.w, c.h, len(rows), c.want)
		}
		for i, y := range rows {
			if from, to := i*c.h/c.want, ((i+1)*c.h-1)/c.want; int(y) < from || int(y) > to {
				t.Fatalf("%d x %d: row %d of %d is %d, want one of strip %d..%d", c.w, c.h, i, c.want, y, from, to)
			}
		}
	}
}

// The facts of a large picture are estimates. They are near, also where the picture has a period that divides the distance
// of the rows.
func TestMeasureEstimatesLargePictures(t *testing.T) {
	w, rng := newTestWorker(t), rand.New(rand.NewPCG(9, 10))
	for _, c := range []int{1, 3} {
		p := newTestPicture(t)
		if err := p.reset(2048, 2048, c); err != nil { // every sixteenth row
			t.Fatal(err)
		}
		for i := range p.buf {
			y := i / c / p.w
			v := 60 + 80*(y%8/4) + 40*y/p.h // bars of 4 rows, and a slope
			p.buf[i] = byte(v + rng.IntN(16))
		}
		got, err := w.Measure(p)
		if err != nil {
			t.Fatal(err)
		}
		mean, variance, sharpness := moments(p, nil, make([]byte, 3*p.w), false)
		if math.Abs(got.Mean-mean) > 0.75 || math.Abs(got.Contrast/math.Sqrt(variance)-1) > 0.01 || math.Abs(got.Sharpness/sharpness-1) > 0.02 {
			t.Errorf("%d channels: got %+v, want about mean %v, contrast %v, sharpness %v", c, got, mean, math.Sqrt(variance), sharpness)
		}
	}
}

func TestMeasureRefusesAnEmptyPicture(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	if facts, err := w.Measure(p); err == nil {
		t.Errorf("got %+v of an empty picture, want an error", facts)
	}
}

func TestSwapAndSpread(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for n := 1; n < 120; n++ {
		p := randomPicture(t, rng, n, 1, 3, false)
		for _, plain := range []bool{false, true} {
			got := bytes.Repeat([]byte{0xA5}, 3*n+1)
			swap3(got, p.buf, n, plain)
			for i, v := range got[:3*n] {
				if want := p.buf[i/3*3+2-i%3]; v != want || got[3*n] != 0xA5 {
					t.Fatalf("swap of %d px, plain %v: byte %d is %d, want %d and nothing beyond", n, plain, i, v, want)
				}
			}
		}
		for _, plain := range []bool{false, true} {
			got := bytes.Repeat([]byte{0xA5}, 3*n+1)
			spread3(got, p.buf, n, plain)
			for i, v := range got[:3*n] {
				if v != p.buf[i/3] || got[3*n] != 0xA5 {
					t.Fatalf("spread of %d px, plain %v: byte %d is %d, want %d and nothing beyond", n, plain, i, v, p.buf[i/3])
				}
			}
		}
		p.Close()
	}
}

// guarded returns n bytes behind which lies a page that must not be touched.
func guarded(t *testing.T, n int) []byte {
	t.Helper()
	page := os.Getpagesize()
	whole := (n + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, whole+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(m) })
	if err := syscall.Mprotect(m[whole:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return m[whole-n : whole]
}

// Rows may end where the memory ends: a kernel that touches more than its pixels ends the test's process.
func TestKernelsStayInTheirRows(t *testing.T) {
	for n := 1; n < 140; n += 3 {
		gray, colour, out, wide := guarded(t, n), guarded(t, 3*n), guarded(t, n), guarded(t, 3*n)
		for _, plain := range []bool{false, true} {
			luma(out, colour, n, false, plain)
			swap3(wide, colour, n, plain)
			spread3(wide, gray, n, plain)
			p := Picture{buf: gray, w: n, h: 1, c: 1}
			moments(&p, nil, nil, plain)
			p = Picture{buf: colour, w: n, h: 1, c: 3}
			moments(&p, nil, wide, plain)
		}
	}
}

func TestResetNeverGivesOutWhatWasLent(t *testing.T) {
	p, data := newTestPicture(t), make([]byte, 64)
	for range 2 { // without memory of its own, and with
		p.borrow(data, 8, 8, 1)
		if err := p.reset(8, 8, 1); err != nil || &p.buf[0] == &data[0] {
			t.Fatalf("reset: got %v and the bytes that were lent, want others", err)
		}
	}
}

// plainRaw is how raw pixels would be decoded without kernels of our own: packed, and converted as a whole by OpenCV. In colour it
// gives BGR.
func plainRaw(t *testing.T, im inspection.Image, colour Colour) *Picture {
	t.Helper()
	data, packed, out := im.Data.Bytes(), newTestPicture(t), newTestPicture(t)
	bpp := im.PixelFormat.BytesPerPixel()
	if err := packed.reset(im.Width, im.Height, bpp); err != nil {
		t.Fatal(err)
	}
	for y := range im.Height {
		copy(packed.buf[y*im.Width*bpp:(y+1)*im.Width*bpp], data[y*im.Stride:])
	}
	gray, code, isBayer := bayer(im.PixelFormat)
	switch {
	case isBayer && colour == Gray:
		code = gray
	case isBayer:
	case im.PixelFormat == inspection.Mono8 && colour == Gray, im.PixelFormat == inspection.BGR8 && colour != Gray:
		return packed
	case im.PixelFormat == inspection.Mono8:
		code = gocv.ColorGrayToBGR
	case im.PixelFormat == inspection.RGB8 && colour == Gray:
		code = gocv.ColorRGBToGray
	case im.PixelFormat == inspection.RGB8:
		code = gocv.ColorRGBToBGR
	default:
		code = gocv.ColorBGRToGray
	}
	if err := out.convert(packed, colour.Components(), code); err != nil {
		t.Fatal(err)
	}
	return out
}

// asBGR returns p's pixels in the order BGR.
func asBGR(p *Picture) []byte {
	out := bytes.Clone(p.buf)
	for i := 0; p.rgb && i < len(out); i += 3 {
		out[i], out[i+2] = out[i+2], out[i]
	}
	return out
}

var rawFormats = []inspection.PixelFormat{
	inspection.Mono8, inspection.RGB8, inspection.BGR8, inspection.BayerRG8, inspection.BayerGR8, inspection.BayerGB8, inspection.BayerBG8,
}

func TestRawPixelsAreAsOpenCVConvertsThem(t *testing.T) {
	w, rng := newTestWorker(t), rand.New(rand.NewPCG(13, 14))
	borrowed := 0
	lend := func(im inspection.Image, colour Colour, p *Picture) error {
		return w.DecodeFor(im, []Spec{{Colour: colour}}, rng.IntN(2) == 0, p)
	}
	for range 3000 {
		im := inspection.Image{Format: inspection.FormatRaw, PixelFormat: rawFormats[rng.IntN(len(rawFormats))], Width: 3 + rng.IntN(30), Height: 3 + rng.IntN(10)}
		row := im.Width * im.PixelFormat.BytesPerPixel()
		im.Stride = row + rng.IntN(2)*rng.IntN(20)
		data := make([]byte, im.Stride*im.Height-rng.IntN(im.Stride-row+1)) // the last gap may be missing
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		sent := bytes.Clone(data)
		im.Data = inspection.NewBuffer(nil, data)
		colour := []Colour{Gray, BGR, RGB}[rng.IntN(3)]
		want := plainRaw(t, im, colour)
		for name, decode := range map[string]func(inspection.Image, Colour, *Picture) error{"Decode": w.Decode, "DecodeFor": lend} {
			p := newTestPicture(t)
			if err := decode(im, colour, p); err != nil {
				t.Fatal(err)
			}
			if p.w != im.Width || p.h != im.Height || p.c != colour.Components() || !bytes.Equal(asBGR(p), want.buf) || colour == BGR && p.rgb {
				t.Fatalf("%s %#x as colour %d, %d x %d px, stride %d: got other pixels than OpenCV", name, uint32(im.PixelFormat), colour, im.Width, im.Height, im.Stride)
			}
			if &p.buf[0] == &data[0] {
				if name == "Decode" {
					t.Fatal("Decode keeps the frame's own bytes")
				}
				borrowed++
			}
			if len(w.raw.buf) != 0 {
				t.Fatal("the worker keeps the frame's own bytes")
			}
			p.Close()
		}
		if !bytes.Equal(data, sent) {
			t.Fatal("the frame's own bytes were changed")
		}
		want.Close()
	}
	if borrowed < 30 {
		t.Errorf("%d of 3000 frames were borrowed, want those that fit: some hundred", borrowed)
	}
}

// What a picture borrowed is gone with Forget, and never written by what comes next.
func TestBorrowedBytesAreLeftAlone(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	data := bytes.Repeat([]byte{7, 8, 9, 10}, 60*80/4)
	im := inspection.Image{Format: inspection.FormatRaw, PixelFormat: inspection.Mono8, Width: 80, Height: 60, Stride: 80, Data: inspection.NewBuffer(nil, data)}
	sent := bytes.Clone(data)
	spec := Spec{Width: 32, Height: 32, Colour: Gray, Sources: []Source{FromFrame}, Scale: 1, Mean: []float64{0}, Std: []float64{1}}
	if err := w.DecodeFor(im, []Spec{spec}, false, p); err != nil || &p.Bytes()[0] != &data[0] {
		t.Fatalf("got %v and a copy, want the frame's own bytes", err)
	}
	if _, err := w.Fill(make([]byte, spec.SampleBytes()), spec, p, nil, Shift{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Measure(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Decode(pngImage(encodePNG(t, scene(80, 60))), Gray, p); err != nil { // of the same size
		t.Fatal(err)
	}
	if !bytes.Equal(data, sent) {
		t.Fatal("the next picture was written into the bytes that were lent")
	}
	if err := w.DecodeFor(im, []Spec{spec}, false, p); err != nil {
		t.Fatal(err)
	}
	if p.Forget(); len(p.Bytes()) != 0 || p.Width() != 0 {
		t.Errorf("after Forget the picture has %d bytes, want none", len(p.Bytes()))
	}
	if _, err := w.NewTemplate(inspection.Template{Key: "raw", Format: inspection.FormatRaw, Data: data}, spec, false); err == nil {
		t.Error("a raw template without a size was taken")
	}
}
