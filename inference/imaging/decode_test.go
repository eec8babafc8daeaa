//go:build gocv_specific_modules

package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

func newTestWorker(t testing.TB) *Worker {
	t.Helper()
	w, err := NewWorker(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func newTestPicture(t testing.TB) *Picture {
	p := NewPicture()
	t.Cleanup(p.Close)
	return p
}

// scene is a grey test picture with edges and shades at every place.
func scene(w, h int) *image.Gray {
	im := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := uint8((x*7+y*3)%97 + 60)
			if x/9%3 == 0 || y/13%4 == 0 {
				v = uint8(200 + (x+y)%40)
			}
			im.Pix[y*im.Stride+x] = v
		}
	}
	return im
}

func colourScene(w, h int) *image.RGBA {
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			im.SetRGBA(x, y, color.RGBA{R: uint8(x * 255 / w), G: uint8(y * 255 / h), B: uint8((x + y) % 256), A: 255})
		}
	}
	return im
}

func encodeJPEG(t testing.TB, im image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodePNG(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// encodeWith encodes a JPEG of a kind that Go's own encoder cannot write, grey or in colour.
func encodeWith(t testing.TB, im image.Image, flag, value int) []byte {
	t.Helper()
	kind, size, pixels := gocv.MatTypeCV8UC3, im.Bounds().Size(), []byte(nil)
	if gray, ok := im.(*image.Gray); ok {
		kind, pixels = gocv.MatTypeCV8UC1, gray.Pix
	}
	for i := range size.X * size.Y {
		if kind == gocv.MatTypeCV8UC3 {
			c := color.RGBAModel.Convert(im.At(i%size.X, i/size.X)).(color.RGBA)
			pixels = append(pixels, c.B, c.G, c.R)
		}
	}
	m, err := gocv.NewMatFromBytes(size.Y, size.X, kind, pixels)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	b, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, m, []int{flag, value})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return bytes.Clone(b.GetBytes())
}

func jpegImage(data []byte) inspection.Image {
	return inspection.Image{Format: inspection.FormatJPEG, Data: inspection.NewBuffer(nil, data)}
}

func pngImage(data []byte) inspection.Image {
	return inspection.Image{Format: inspection.FormatPNG, Data: inspection.NewBuffer(nil, data)}
}

func TestDecodePNGGivesEveryPixel(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	im := scene(130, 77)
	if err := w.Decode(pngImage(encodePNG(t, im)), Gray, p); err != nil {
		t.Fatal(err)
	}
	if p.Width() != 130 || p.Height() != 77 || p.Channels() != 1 || !bytes.Equal(p.Bytes(), im.Pix) {
		t.Fatalf("got %d x %d x %d px that differ from what was encoded", p.Width(), p.Height(), p.Channels())
	}

	rgba := colourScene(61, 45)
	if err := w.Decode(pngImage(encodePNG(t, rgba)), BGR, p); err != nil {
		t.Fatal(err)
	}
	for i := range 61 * 45 {
		got, want := p.Bytes()[3*i:3*i+3], rgba.Pix[4*i:4*i+3]
		if got[0] != want[2] || got[1] != want[1] || got[2] != want[0] {
			t.Fatalf("pixel %d: got BGR %v, want RGB %v", i, got, want)
		}
	}
}

// withChunk returns a PNG with a chunk more before its pixels.
func withChunk(data []byte, kind string, body ...byte) []byte {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	chunk = append(append(chunk, kind...), body...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return slices.Insert(bytes.Clone(data), pngHeaderSize, chunk...)
}

// The same pixels are the same grey, whatever a PNG says of its gamma, as a frame, as a template, and as raw pixels.
func TestGrayOfAPNGDoesNotDependOnItsGamma(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	const width, height = 131, 77
	scene, listed := colourScene(width, height), image.NewPaletted(image.Rect(0, 0, width, height), palette.Plan9)
	draw.Draw(listed, listed.Rect, scene, image.Point{}, draw.Src)
	for name, im := range map[string]image.Image{"colours": scene, "palette": listed} {
		var rgb []byte
		for y := range height {
			for x := range width {
				c := color.RGBAModel.Convert(im.At(x, y)).(color.RGBA)
				rgb = append(rgb, c.R, c.G, c.B)
			}
		}
		raw := inspection.Image{Format: inspection.FormatRaw, PixelFormat: inspection.RGB8, Width: width, Height: height, Stride: 3 * width, Data: inspection.NewBuffer(nil, rgb)}
		if err := w.Decode(raw, Gray, p); err != nil {
			t.Fatal(err)
		}
		want, plain := bytes.Clone(p.Bytes()), encodePNG(t, im)
		for chunk, data := range map[string][]byte{
			"no chunk": plain, "sRGB": withChunk(plain, "sRGB", 0),
			"gAMA 1/2.2": withChunk(plain, "gAMA", 0, 0, 0xB1, 0x8F), "gAMA 1": withChunk(plain, "gAMA", 0, 1, 0x86, 0xA0),
		} {
			if err := w.Decode(pngImage(data), Gray, p); err != nil || !bytes.Equal(p.Bytes(), want) {
				t.Errorf("%s, %s: another grey than of the same raw pixels (%v)", name, chunk, err)
			}
			tm, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: data}, bytesSpec(width, height, Gray, Stretch), false)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(tm.fitted.Bytes(), want) {
				t.Errorf("%s, %s: the template has another grey than the same raw pixels", name, chunk)
			}
			tm.Close()
		}
	}
}

func TestDecodeOneBitPNG(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	// 10 x 2 px of one bit, as a template of a board layer comes.
	data := rawPNG(10, 2, 1, 0, []byte{0, 0b10101010, 0b11000000, 0, 0b00001111, 0b01000000})
	if err := w.Decode(pngImage(data), Gray, p); err != nil {
		t.Fatal(err)
	}
	want := []byte{255, 0, 255, 0, 255, 0, 255, 0, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 255}
	if !bytes.Equal(p.Bytes(), want) {
		t.Fatalf("got %v, want %v", p.Bytes(), want)
	}
	if err := w.Decode(pngImage(data), BGR, p); err != nil || len(p.Bytes()) != 60 || p.Bytes()[0] != 255 {
		t.Fatalf("as BGR: got %d bytes, %v; want 60 and no error", len(p.Bytes()), err)
	}
}

func TestDecodeJPEGAgreesWithAnotherDecoder(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	for _, c := range []struct {
		name   string
		im     image.Image
		colour Colour
	}{{"grey", scene(200, 151), Gray}, {"colour as grey", colourScene(160, 96), Gray}, {"colour", colourScene(160, 96), BGR}, {"grey as colour", scene(64, 64), BGR}} {
		data := encodeJPEG(t, c.im, 95)
		if err := w.Decode(jpegImage(data), c.colour, p); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		ref, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if far := farthest(p, ref); far > 6 { // chroma is upsampled differently
			t.Errorf("%s: a pixel differs by %d from the reference decoder, want at most 6", c.name, far)
		}
	}
}

// farthest returns the largest difference of any component.
func farthest(p *Picture, ref image.Image) int {
	far := 0
	for y := range p.Height() {
		for x := range p.Width() {
			at := (y*p.Width() + x) * p.Channels()
			var want []byte
			if p.Channels() == 1 {
				want = []byte{color.GrayModel.Convert(ref.At(x, y)).(color.Gray).Y}
			} else {
				r, g, b, _ := ref.At(x, y).RGBA()
				want = []byte{byte(b >> 8), byte(g >> 8), byte(r >> 8)}
			}
			for i, v := range want {
				far = max(far, abs(int(p.Bytes()[at+i])-int(v)))
			}
		}
	}
	return far
}

func TestDecodeRaw(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	raw := func(f inspection.PixelFormat, width, height, stride int, data []byte) inspection.Image {
		return inspection.Image{Format: inspection.FormatRaw, PixelFormat: f, Width: width, Height: height, Stride: stride, Data: inspection.NewBuffer(nil, data)}
	}
	for _, c := range []struct {
		name   string
		im     inspection.Image
		colour Colour
		want   []byte
	}{
		{"mono with gaps", raw(inspection.Mono8, 3, 2, 4, []byte{1, 2, 3, 99, 4, 5, 6}), Gray, []byte{1, 2, 3, 4, 5, 6}},
		{"mono as BGR", raw(inspection.Mono8, 2, 2, 2, []byte{1, 2, 3, 4}), BGR, []byte{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}},
		{"BGR", raw(inspection.BGR8, 2, 1, 6, []byte{1, 2, 3, 4, 5, 6}), BGR, []byte{1, 2, 3, 4, 5, 6}},
		{"RGB", raw(inspection.RGB8, 2, 1, 6, []byte{1, 2, 3, 4, 5, 6}), BGR, []byte{3, 2, 1, 6, 5, 4}},
		{"RGB as grey", raw(inspection.RGB8, 2, 1, 6, []byte{255, 0, 0, 0, 0, 255}), Gray, []byte{76, 29}},
		{"BGR as grey", raw(inspection.BGR8, 2, 1, 6, []byte{255, 0, 0, 0, 0, 255}), Gray, []byte{29, 76}},
	} {
		if err := w.Decode(c.im, c.colour, p); err != nil || !bytes.Equal(p.Bytes(), c.want) {
			t.Errorf("%s: got %v, %v; want %v", c.name, p.Bytes(), err, c.want)
		}
	}
}

func TestDecodeBayerPatterns(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	// An evenly red scene: only the red sites of the mosaic see light.
	for _, c := range []struct {
		f      inspection.PixelFormat
		rx, ry int // where red sits in the 2 x 2 pattern
	}{{inspection.BayerRG8, 0, 0}, {inspection.BayerGR8, 1, 0}, {inspection.BayerGB8, 0, 1}, {inspection.BayerBG8, 1, 1}} {
		data := make([]byte, 16*12)
		for i := range data {
			if i%16%2 == c.rx && i/16%2 == c.ry {
				data[i] = 200
			}
		}
		im := inspection.Image{Format: inspection.FormatRaw, PixelFormat: c.f, Width: 16, Height: 12, Stride: 16, Data: inspection.NewBuffer(nil, data)}
		if err := w.Decode(im, BGR, p); err != nil {
			t.Fatal(err)
		}
		if got := p.Bytes()[(6*16+8)*3:][:3]; got[2] != 200 || got[0] != 0 || got[1] != 0 {
			t.Errorf("%#x: got BGR %v in a red scene, want [0 0 200]", uint32(c.f), got)
		}
		if err := w.Decode(im, Gray, p); err != nil || len(p.Bytes()) != 16*12 {
			t.Errorf("%#x as grey: got %d bytes, %v", uint32(c.f), len(p.Bytes()), err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	w := newTestWorker(t)
	good := encodeJPEG(t, scene(64, 48), 90)
	sized := func(im inspection.Image, width, height int) inspection.Image {
		im.Width, im.Height = width, height
		return im
	}
	alpha := image.NewNRGBA(image.Rect(0, 0, 4, 4)) // transparent
	for _, c := range []struct {
		name string
		im   inspection.Image
		want error
	}{
		{"nothing", inspection.Image{Format: inspection.FormatJPEG}, inspection.ErrImage},
		{"empty JPEG", jpegImage(nil), inspection.ErrImage},
		{"empty PNG", pngImage(nil), inspection.ErrImage},
		{"unknown format", inspection.Image{Data: inspection.NewBuffer(nil, good)}, inspection.ErrImage},
		{"JPEG called PNG", pngImage(good), inspection.ErrImage},
		{"another width", sized(jpegImage(good), 65, 48), inspection.ErrImage},
		{"another height", sized(jpegImage(good), 0, 47), inspection.ErrImage},
		{"alpha", pngImage(encodePNG(t, alpha)), inspection.ErrImage},
		{"16 bits", pngImage(encodePNG(t, image.NewGray16(image.Rect(0, 0, 4, 4)))), inspection.ErrImage},
		{"CMYK JPEG", jpegImage(sofJPEG(0xC0, 8, 8, 8, 4)), inspection.ErrImage},
		{"12 bits", jpegImage(sofJPEG(0xC0, 12, 8, 8, 1)), inspection.ErrImage},
		{"lossless", jpegImage(sofJPEG(0xC3, 8, 8, 8, 1)), inspection.ErrImage},
		{"no height", jpegImage(sofJPEG(0xC0, 8, 8, 0, 1)), inspection.ErrImage},
		{"JPEG bomb", jpegImage(sofJPEG(0xC0, 8, 65535, 65535, 3)), inspection.ErrImageTooLarge},
		{"progressive bomb", jpegImage(sofJPEG(0xC2, 8, 8000, 8000, 3)), inspection.ErrImageTooLarge},
		{"scan bomb", jpegImage(scanBomb(80_000)), inspection.ErrImageTooLarge},
		{"PNG bomb", pngImage(rawPNG(65535, 65535, 8, 2, nil)), inspection.ErrImageTooLarge},
		{"PNG of 2^32-1", pngImage(rawPNG(1<<32-1, 1<<32-1, 8, 2, nil)), inspection.ErrImage},
		{"PNG short of rows", pngImage(rawPNG(16, 16, 8, 0, make([]byte, 17*15))), inspection.ErrImage},
		{"raw bomb", inspection.Image{Format: inspection.FormatRaw, PixelFormat: inspection.Mono8, Width: 1 << 40, Height: 1 << 40, Stride: 1 << 62, Data: inspection.NewBuffer(nil, good)}, inspection.ErrImageTooLarge},
		{"raw short", inspection.Image{Format: inspection.FormatRaw, PixelFormat: inspection.Mono8, Width: 4, Height: 4, Stride: 4, Data: inspection.NewBuffer(nil, make([]byte, 15))}, inspection.ErrImage},
		{"raw of two channels", inspection.Image{Format: inspection.FormatRaw, PixelFormat: 0x02100032, Width: 4, Height: 4, Stride: 8, Data: inspection.NewBuffer(nil, make([]byte, 32))}, inspection.ErrImage},
	} {
		p := newTestPicture(t)
		before := residentBytes(t)
		err := w.Decode(c.im, BGR, p)
		if !errors.Is(err, c.want) || !errors.Is(err, inspection.ErrImage) {
			t.Errorf("%s: got error %v, want one that is %v", c.name, err, c.want)
		}
		if len(p.Bytes()) != 0 {
			t.Errorf("%s: a refused picture left %d bytes of pixels", c.name, len(p.Bytes()))
		}
		if grown := residentBytes(t) - before; grown > 64<<20 {
			t.Errorf("%s: refusing took %d MiB of memory", c.name, grown>>20)
		}
	}
}

func TestDecodeHoldsToItsLimits(t *testing.T) {
	w, err := NewWorker(Limits{MaxPixels: 64 * 48, MaxBytes: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	p := newTestPicture(t)
	if err := w.Decode(pngImage(encodePNG(t, scene(64, 48))), Gray, p); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if err := w.Decode(pngImage(encodePNG(t, scene(65, 48))), Gray, p); !errors.Is(err, inspection.ErrImageTooLarge) {
		t.Errorf("beyond the pixel limit: got %v, want ErrImageTooLarge", err)
	}
	if err := w.Decode(jpegImage(make([]byte, 100_001)), Gray, p); !errors.Is(err, inspection.ErrImageTooLarge) {
		t.Errorf("beyond the byte limit: got %v, want ErrImageTooLarge", err)
	}
}

// samples are the pictures that the damage tests work on: synthetic ones, and a real pair where the data are.
func samples(t *testing.T) map[string]inspection.Image {
	out := map[string]inspection.Image{
		"grey.jpg":        jpegImage(encodeJPEG(t, scene(320, 240), 85)),
		"colour.jpg":      jpegImage(encodeJPEG(t, colourScene(320, 240), 85)),
		"progressive.jpg": jpegImage(encodeWith(t, scene(320, 240), gocv.IMWriteJpegProgressive, 1)),
		"colours.jpg":     jpegImage(encodeWith(t, colourScene(320, 240), gocv.IMWriteJpegProgressive, 1)),
		"restarts.jpg":    jpegImage(encodeWith(t, scene(320, 240), gocv.IMWriteJpegRstInterval, 4)),
		"grey.png":        pngImage(encodePNG(t, scene(320, 240))),
		"colour.png":      pngImage(encodePNG(t, colourScene(160, 120))),
	}
	dir := os.Getenv("INSPECTION_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	for _, f := range []string{"PCBData/group00041/00041/00041000_test.jpg", "PCBData/group00041/00041/00041000_temp.png"} {
		data, err := os.ReadFile(filepath.Join(dir, "deeppcb", f))
		if err != nil {
			t.Logf("no real pictures: %v (set INSPECTION_DATA); going on with synthetic ones", err)
			break
		}
		if filepath.Ext(f) == ".jpg" {
			out[filepath.Base(f)] = jpegImage(data)
		} else {
			out[filepath.Base(f)] = pngImage(data)
		}
	}
	return out
}

func TestDecodeRefusesTruncationAtEveryPercent(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	for name, im := range samples(t) {
		data := im.Data.Bytes()
		if err := w.Decode(im, Gray, p); err != nil {
			t.Fatalf("%s, whole: %v", name, err)
		}
		cuts := []int{len(data) - 1, len(data) - 2, len(data) - 3}
		for percent := range 100 {
			cuts = append(cuts, len(data)*percent/100)
		}
		for _, n := range cuts {
			cut := im
			cut.Data = inspection.NewBuffer(nil, data[:n])
			if err := w.Decode(cut, Gray, p); !errors.Is(err, inspection.ErrImage) || len(p.Bytes()) != 0 {
				t.Errorf("%s cut to %d of %d bytes: got %v and %d bytes of pixels, want ErrImage and none", name, n, len(data), err, len(p.Bytes()))
			}
		}
	}
}

func TestDecodeAcceptsBytesAfterTheEnd(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	for name, im := range samples(t) {
		im.Data = inspection.NewBuffer(nil, append(bytes.Clone(im.Data.Bytes()), "\x00\x00camera telemetry\xff"...))
		if err := w.Decode(im, Gray, p); err != nil {
			t.Errorf("%s with bytes after its end: %v", name, err)
		}
	}
}

// A file that lost its last scans and was closed by an end marker is a blurred picture to the decoder: small defects are gone.
func TestDecodeRefusesAProgressiveJPEGWithoutItsLastScans(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	for name, data := range map[string][]byte{
		"grey":   encodeWith(t, scene(133, 79), gocv.IMWriteJpegProgressive, 1),
		"colour": encodeWith(t, colourScene(133, 79), gocv.IMWriteJpegProgressive, 1),
	} {
		for _, colour := range []Colour{Gray, BGR} {
			if err := w.Decode(jpegImage(data), colour, p); err != nil {
				t.Errorf("%s, whole: %v", name, err)
			}
			scans := bytes.Count(data, []byte{0xFF, markerSOS})
			if scans < 6 {
				t.Fatalf("%s has %d scans: want a progressive JPEG", name, scans)
			}
			for at, n := 0, 0; n < scans; n++ {
				at += 2 + bytes.Index(data[at+2:], []byte{0xFF, markerSOS})
				cut := append(bytes.Clone(data[:at]), 0xFF, markerEOI)
				err := w.Decode(jpegImage(cut), colour, p)
				if !errors.Is(err, inspection.ErrImage) || n > 0 && !strings.Contains(err.Error(), "ends before all of its scans") {
					t.Errorf("%s with %d of %d scans: got %v, want ErrImage that says so", name, n, scans, err)
				}
			}
		}
	}
}

func TestCheckScans(t *testing.T) {
	scan := func(from, to, bits byte, names ...byte) []byte {
		body := []byte{byte(len(names))}
		for _, n := range names {
			body = append(body, n, 0)
		}
		body = append(body, from, to, bits)
		return append([]byte{0xFF, markerSOS, 0, byte(len(body) + 2)}, append(body, 0x12, 0x34)...)
	}
	for _, c := range []struct {
		name, want string // want: "" where it is whole
		marker     byte
		names      string
		scans      [][]byte
	}{
		{"baseline", "", 0xC0, "abc", [][]byte{scan(0, 63, 0, 'a', 'b', 'c')}},
		{"baseline, a scan each", "", 0xC0, "abc", [][]byte{scan(0, 63, 0, 'a'), scan(0, 63, 0, 'b'), scan(0, 63, 0, 'c')}},
		{"baseline, one missing", "coefficient 0 of component 2", 0xC0, "abc", [][]byte{scan(0, 63, 0, 'a'), scan(0, 63, 0, 'b')}},
		{"baseline, odd parameters", "", 0xC1, "a", [][]byte{scan(0, 0, 0, 'a')}},
		{"one name for all", "", 0xC0, "aaa", [][]byte{scan(0, 63, 0, 'a', 'a', 'a')}},
		{"progressive", "", 0xC2, "ab", [][]byte{scan(0, 0, 0x01, 'a', 'b'), scan(1, 5, 0x02, 'a'), scan(6, 63, 0x02, 'a'), scan(1, 63, 0, 'b'), scan(1, 63, 0x21, 'a'), scan(0, 0, 0x10, 'a', 'b'), scan(1, 63, 0x10, 'a')}},
		{"by spectrum alone", "", 0xC2, "a", [][]byte{scan(0, 0, 0, 'a'), scan(1, 5, 0, 'a'), scan(6, 63, 0, 'a')}},
		{"without the last refinement", "coefficient 1 of component 0", 0xC2, "a", [][]byte{scan(0, 0, 0, 'a'), scan(1, 63, 0x01, 'a')}},
		{"without the last coefficients", "coefficient 6 of component 0", 0xC2, "a", [][]byte{scan(0, 0, 0, 'a'), scan(1, 5, 0, 'a')}},
		{"without the first coefficient's last bit", "coefficient 0 of component 0", 0xC2, "a", [][]byte{scan(0, 0, 0x01, 'a'), scan(1, 63, 0, 'a')}},
		{"refined without a first pass", "coefficient 1 of component 0", 0xC2, "a", [][]byte{scan(0, 0, 0, 'a'), scan(1, 63, 0x10, 'a')}},
		{"a name that is none", "coefficient 0 of component 0", 0xC2, "a", [][]byte{scan(0, 0, 0, 'z')}},
	} {
		data := []byte{0xFF, markerSOI, 0xFF, c.marker, 0, byte(8 + 3*len(c.names)), 8, 0, 8, 0, 8, byte(len(c.names))}
		for _, n := range []byte(c.names) {
			data = append(data, n, 0x11, 0)
		}
		data = append(append(data, bytes.Join(c.scans, nil)...), 0xFF, markerEOI)
		err := checkScans(data)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, inspection.ErrImage) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// A flipped bit gives an error or a picture of the right size, and never a pixel of the picture before: two decodes into
// memory marked differently must agree.
func TestDecodeOfFlippedBitsLeaksNothing(t *testing.T) {
	w, p, q := newTestWorker(t), newTestPicture(t), newTestPicture(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for name, im := range samples(t) {
		data, refused, n := bytes.Clone(im.Data.Bytes()), 0, 200
		for range n {
			bit := rng.IntN(len(data) * 8)
			data[bit/8] ^= 1 << (bit % 8)
			im.Data = inspection.NewBuffer(nil, data)
			first := decodeOver(t, w, im, p, 0x00)
			second := decodeOver(t, w, im, q, 0xA5)
			if (first == nil) != (second == nil) || !bytes.Equal(p.Bytes(), q.Bytes()) {
				t.Fatalf("%s, bit %d: the picture depends on what lay in memory (%v, %v)", name, bit, first, second)
			}
			if first != nil {
				refused++
			}
			data[bit/8] ^= 1 << (bit % 8)
		}
		if im.Format == inspection.FormatPNG && refused < n*99/100 {
			t.Errorf("%s: %d of %d flipped bits were refused, want nearly all: every chunk has a CRC", name, refused, n)
		}
	}
}

// decodeOver decodes into memory full of a mark and checks what the call promises.
func decodeOver(t *testing.T, w *Worker, im inspection.Image, p *Picture, mark byte) error {
	t.Helper()
	if err := p.reset(400, 400, 3); err != nil {
		t.Fatal(err)
	}
	for i := range p.buf {
		p.buf[i] = mark
	}
	err := w.Decode(im, Gray, p)
	switch {
	case err != nil && (!errors.Is(err, inspection.ErrImage) || len(p.Bytes()) != 0):
		t.Fatalf("got %v and %d bytes of pixels, want ErrImage and none", err, len(p.Bytes()))
	case err == nil && len(p.Bytes()) != p.Width()*p.Height():
		t.Fatalf("got %d bytes for %d x %d px", len(p.Bytes()), p.Width(), p.Height())
	}
	return err
}

// What a worker decoded before must not matter: neither for a good picture, nor for one that lost its tables.
func TestDecodeRemembersNothing(t *testing.T) {
	w, p := newTestWorker(t), newTestPicture(t)
	pictures := samples(t)
	for before, im := range pictures {
		data := im.Data.Bytes()
		for n := 0; n < len(data); n += max(len(data)/50, 1) {
			im.Data = inspection.NewBuffer(nil, data[:n])
			if err := w.Decode(im, Gray, p); !errors.Is(err, inspection.ErrImage) {
				t.Fatalf("%s cut to %d bytes: got %v, want ErrImage", before, n, err)
			}
			for name, good := range pictures {
				if err := w.Decode(good, Gray, p); err != nil {
					t.Fatalf("%s after %s cut to %d bytes: %v", name, before, n, err)
				}
			}
		}
	}
	whole := encodeJPEG(t, scene(64, 48), 90)
	i := bytes.Index(whole, []byte{0xFF, 0xDB}) // quantisation tables
	without := append(bytes.Clone(whole[:i]), whole[i+2+int(binary.BigEndian.Uint16(whole[i+2:])):]...)
	if err := errors.Join(w.Decode(jpegImage(whole), Gray, p), w.Decode(jpegImage(whole), BGR, p)); err != nil {
		t.Fatal(err)
	}
	if err := w.Decode(jpegImage(without), Gray, p); !errors.Is(err, inspection.ErrImage) {
		t.Errorf("a JPEG without tables after one with them: got %v, want ErrImage", err)
	}
}

func TestFingerprintTellsPicturesApart(t *testing.T) {
	w, p, q := newTestWorker(t), newTestPicture(t), newTestPicture(t)
	f := NewFingerprinter()
	im := scene(40, 30)
	data := encodePNG(t, im)
	if err := errors.Join(w.Decode(pngImage(data), Gray, p), w.Decode(pngImage(data), Gray, q)); err != nil {
		t.Fatal(err)
	}
	if f.Of(p) != f.Of(q) {
		t.Error("the same picture has two fingerprints")
	}
	q.buf[17] ^= 1
	if f.Of(p) == f.Of(q) {
		t.Error("one changed pixel leaves the fingerprint as it was")
	}
	q.buf[17] ^= 1
	q.w, q.h = 30, 40
	if f.Of(p) == f.Of(q) {
		t.Error("another size leaves the fingerprint as it was")
	}
}

// sofJPEG is a JPEG that consists of a frame header alone.
func sofJPEG(marker byte, precision, w, h, comps int) []byte {
	b := []byte{0xFF, 0xD8, 0xFF, marker, 0, byte(8 + 3*comps), byte(precision), byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(comps)}
	for i := range comps {
		b = append(b, byte(i+1), 0x11, 0)
	}
	return b
}

// scanBomb is a progressive JPEG with n nearly empty scans.
func scanBomb(n int) []byte {
	b := sofJPEG(0xC2, 8, 4000, 4000, 1)
	for range n {
		b = append(b, 0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 1, 0, 0x7F)
	}
	return append(b, 0xFF, 0xD9)
}

// rawPNG builds a PNG from scan lines, each after its filter byte.
func rawPNG(w, h uint32, depth, colour byte, lines []byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, w)
	head = append(binary.BigEndian.AppendUint32(head, h), depth, colour, 0, 0, 0)
	out := []byte(pngSignature)
	for _, c := range []struct {
		kind string
		body []byte
	}{{"IHDR", head}, {"IDAT", deflate(lines)}, {"IEND", nil}} {
		chunk := append([]byte(c.kind), c.body...)
		out = binary.BigEndian.AppendUint32(out, uint32(len(c.body)))
		out = append(out, chunk...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
	}
	return out
}

func residentBytes(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}
