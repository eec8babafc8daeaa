package benchmarks

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"

	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/inspection"
)

// cell is the side in px of what the benchmarks' networks answer for, see models/make.py.
const cell = 32

// picturesOfEach is how many different pictures a benchmark sends round and round.
const picturesOfEach = 32

// hotEvery is how many pictures there are to one with a hot cell, which fails; all others pass.
const hotEvery = 16

// painted is a picture with cells that the networks must find.
type painted struct {
	pix        []byte
	components int
	hot, warm  []image.Point // cells
}

// paint draws noise of size x size px with a few cells that stand out: warm in every picture, hot in one of hotEvery.
// A grey picture has no hot ones.
func paint(size, components, index int) painted {
	r := rand.New(rand.NewPCG(uint64(index), uint64(size)))
	p := painted{pix: make([]byte, size*size*components), components: components}
	for i := range p.pix {
		if i%components == 0 { // the same in every component: grey
			v := byte(40 + r.IntN(50))
			for c := range components {
				p.pix[i+c] = v
			}
		}
	}
	n := size / cell
	order := r.Perm(n * n)
	count := min(1+r.IntN(4), n*n-1)
	for i, at := range order[:count] {
		place := image.Pt(at%n, at/n)
		switch {
		case components == 3 && i == 0 && index%hotEvery == 0:
			p.hot = append(p.hot, place)
			p.fill(size, place, 0, r)
		default:
			p.warm = append(p.warm, place)
			p.fill(size, place, min(1, components-1), r)
		}
	}
	return p
}

// fill makes one component of a cell bright.
func (p painted) fill(size int, at image.Point, component int, r *rand.Rand) {
	for y := at.Y * cell; y < (at.Y+1)*cell; y++ {
		for x := at.X * cell; x < (at.X+1)*cell; x++ {
			p.pix[(y*size+x)*p.components+component] = byte(200 + r.IntN(56))
		}
	}
}

// rawFrame wraps pixels as a camera sends them.
func rawFrame(pix []byte, w, h, components int) inspection.Frame {
	format := inspection.Mono8
	if components == 3 {
		format = inspection.RGB8
	}
	return inspection.Frame{View: "top", Image: inspection.Image{
		Format: inspection.FormatRaw, PixelFormat: format, Width: w, Height: h, Stride: w * components, Data: inspection.NewBuffer(nil, pix),
	}}
}

// paintedFrames are raw pictures of a network's own size.
func paintedFrames(size, components int) []inspection.Frame {
	frames := make([]inspection.Frame, picturesOfEach)
	for i := range frames {
		frames[i] = rawFrame(paint(size, components, i).pix, size, size, components)
	}
	return frames
}

// blownUp draws a painted picture of the size of a network's input at w x h px.
func blownUp(size, components, index, w, h int) []byte {
	small := paint(size, components, index)
	pix := make([]byte, w*h*components)
	for y := range h {
		from := small.pix[(y*size/h)*size*components:]
		for x := range w {
			copy(pix[(y*w+x)*components:][:components], from[(x*size/w)*components:])
		}
	}
	return pix
}

// largeFrames are n raw grey pictures of w x h px.
func largeFrames(w, h, n int) []inspection.Frame {
	frames := make([]inspection.Frame, n)
	for i := range frames {
		frames[i] = rawFrame(blownUp(64, 1, i, w, h), w, h, 1)
	}
	return frames
}

// jpegFrames are n colour JPEGs of w x h px.
func jpegFrames(w, h, n, quality int) ([]inspection.Frame, error) {
	frames := make([]inspection.Frame, n)
	for i := range frames {
		pix := blownUp(224, 3, i+1, w, h)
		picture := image.NewRGBA(image.Rect(0, 0, w, h))
		for p := range w * h {
			picture.SetRGBA(p%w, p/w, color.RGBA{pix[3*p], pix[3*p+1], pix[3*p+2], 255})
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, picture, &jpeg.Options{Quality: quality}); err != nil {
			return nil, fmt.Errorf("draw a JPEG: %w", err)
		}
		frames[i] = inspection.Frame{View: "top", Image: inspection.Image{Format: inspection.FormatJPEG, Data: inspection.NewBuffer(nil, b.Bytes())}}
	}
	return frames, nil
}

// boardFrames are raw grey pictures of rendered boards with the templates that they are compared with.
func boardFrames(series *synthetic.Series) ([]inspection.Frame, []inspection.Template, error) {
	frames := make([]inspection.Frame, picturesOfEach)
	for i := range frames {
		b, err := series.Board(i)
		if err != nil {
			return nil, nil, err
		}
		size := b.Test.Bounds()
		frames[i] = rawFrame(b.Test.Pix, size.Dx(), size.Dy(), 1)
		frames[i].View, frames[i].Reference = b.View, b.Reference
	}
	var templates []inspection.Template
	for p := range series.Products() {
		key, picture, err := series.Template(p)
		if err != nil {
			return nil, nil, err
		}
		data, err := synthetic.PNG(picture)
		if err != nil {
			return nil, nil, err
		}
		templates = append(templates, inspection.Template{Key: key, Format: inspection.FormatPNG, Data: data})
	}
	return frames, templates, nil
}
