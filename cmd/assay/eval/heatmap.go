package eval

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // sizes of pictures
	"image/png"
	"math"
	"os"

	"github.com/assay-vision/assay/inspection"
)

// Heatmap is a model's map laid over a frame.
type Heatmap struct {
	width, height int
	grey          []uint8
	area          inspection.Box
	low, high     float64
}

// DecodeHeatmap reads what came with a judgement.
func DecodeHeatmap(h inspection.Heatmap) (*Heatmap, error) {
	picture, err := png.Decode(bytes.NewReader(h.PNG))
	if err != nil {
		return nil, fmt.Errorf("heatmap: %w", err)
	}
	grey, ok := picture.(*image.Gray)
	if !ok {
		return nil, fmt.Errorf("heatmap: its PNG is %T, want 8-bit grey", picture)
	}
	if !(h.Area.W() > 0) || !(h.Area.H() > 0) || !(h.High >= h.Low) || math.IsInf(h.High-h.Low, 0) {
		return nil, fmt.Errorf("heatmap: area %v, low %v, high %v: want an area and a finite range", h.Area, h.Low, h.High)
	}
	m := &Heatmap{width: grey.Rect.Dx(), height: grey.Rect.Dy(), area: h.Area, low: h.Low, high: h.High}
	for y := range m.height {
		m.grey = append(m.grey, grey.Pix[y*grey.Stride:y*grey.Stride+m.width]...)
	}
	return m, nil
}

// Size is the map's own, in pixels.
func (m *Heatmap) Size() (width, height int) { return m.width, m.height }

// Scores lays the map over a frame of width x height px: the score at each pixel's centre, row by row, linear between the
// centres of the map's pixels and constant beyond the outermost. Outside the map's area it is the map's lowest score.
func (m *Heatmap) Scores(width, height int) []float64 {
	scores := make([]float64, width*height)
	xs := m.taps(width, m.area.X1, m.area.X2, m.width)
	ys := m.taps(height, m.area.Y1, m.area.Y2, m.height)
	unit := (m.high - m.low) / 255
	for y, v := range ys {
		row := scores[y*width : (y+1)*width]
		above, below := m.grey[v.a*m.width:], m.grey[v.b*m.width:]
		for x, u := range xs {
			if u.outside || v.outside {
				row[x] = m.low
				continue
			}
			top := float64(above[u.a]) + u.t*(float64(above[u.b])-float64(above[u.a]))
			bottom := float64(below[u.a]) + u.t*(float64(below[u.b])-float64(below[u.a]))
			row[x] = m.low + unit*(top+v.t*(bottom-top))
		}
	}
	return scores
}

// tap says between which two pixels of the map one of the frame lies, and how far along.
type tap struct {
	a, b    int
	t       float64
	outside bool
}

func (m *Heatmap) taps(n int, from, to float64, size int) []tap {
	taps := make([]tap, n)
	for i := range taps {
		at := float64(i) + 0.5
		p := min(max((at-from)/(to-from)*float64(size)-0.5, 0), float64(size-1))
		a := int(p)
		taps[i] = tap{a: a, b: min(a+1, size-1), t: p - float64(a), outside: at < from || at > to}
	}
	return taps
}

// ReadSize reads a picture's size in pixels from its header.
func ReadSize(file string) (width, height int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, 0, fmt.Errorf("picture of the set: %w", err)
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(f)
	if err != nil {
		return 0, 0, fmt.Errorf("picture of the set %s: %w", file, err)
	}
	return c.Width, c.Height, nil
}

// maskLevel is the grey value above which a mask's pixel belongs to a defect.
const maskLevel = 127

// ReadMask reads a mask, which must be width x height px: row by row, true above grey 127.
func ReadMask(file string, width, height int) ([]bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("mask of the set: %w", err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("mask %s: %w", file, err)
	}
	if b := picture.Bounds(); b.Dx() != width || b.Dy() != height {
		return nil, fmt.Errorf("mask %s is %dx%d px, its picture %dx%d: they must be of one size", file, b.Dx(), b.Dy(), width, height)
	}
	grey := image.NewGray(image.Rect(0, 0, width, height))
	draw.Draw(grey, grey.Rect, picture, picture.Bounds().Min, draw.Src)
	mask := make([]bool, len(grey.Pix))
	for i, g := range grey.Pix {
		mask[i] = g > maskLevel
	}
	return mask, nil
}
