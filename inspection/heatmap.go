package inspection

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"slices"
)

// maxHeatmapSide bounds a heatmap's longer side, in pixels of its own: evidence for an eye, which every result carries.
const maxHeatmapSide = 256

// NewHeatmap makes the heatmap of a raw map of width x height values, row by row, that covers area of the frame. Low and
// High are the range of the values. A map that is longer than 256 on a side is shrunk to that by averaging over areas; the
// place of the highest value, the first of several, keeps it undiluted, so that the strongest grey value always stands for
// the map's maximum. The error wraps ErrInvalid: sizes below 1, another number of values, or a value or an area that is not
// finite. values stay the caller's.
func NewHeatmap(width, height int, values []float32, area Box) (*Heatmap, error) {
	switch {
	case width < 1 || height < 1 || width > math.MaxInt/height || len(values) != width*height:
		return nil, fmt.Errorf("%w: heatmap: %d values for a map of %dx%d: give one for each of its pixels", ErrInvalid, len(values), width, height)
	case !finite(area.X1, area.Y1, area.X2, area.Y2):
		return nil, fmt.Errorf("%w: heatmap: area %v is not finite", ErrInvalid, area)
	}
	if i := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 }); i >= 0 {
		return nil, fmt.Errorf("%w: heatmap: value %d is %v: want finite ones", ErrInvalid, i, values[i])
	}
	h := &Heatmap{Area: area, Low: float64(slices.Min(values)), High: float64(slices.Max(values))}
	w, rows := shrunkSides(width, height)
	grey := image.NewGray(image.Rect(0, 0, w, rows))
	h.paint(grey.Pix, values, span{width, w}, span{height, rows})
	var file bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&file, grey); err != nil {
		return nil, fmt.Errorf("heatmap: %w", err)
	}
	h.PNG = file.Bytes()
	return h, nil
}

// WithoutPNG returns the heatmap as answers, lists and watches carry it: where it lies and its range, but no picture. Of
// none it returns none.
func (h *Heatmap) WithoutPNG() *Heatmap {
	if h == nil {
		return nil
	}
	return &Heatmap{Area: h.Area, Low: h.Low, High: h.High}
}

// shrunkSides returns the sides of a map's heatmap, of the same shape as near as whole pixels allow.
func shrunkSides(width, height int) (w, h int) {
	long := max(width, height)
	if long <= maxHeatmapSide {
		return width, height
	}
	side := func(n int) int {
		return max(1, int(math.Round(float64(n)*maxHeatmapSide/float64(long))))
	}
	return side(width), side(height)
}

// paint fills pix, x.to wide and y.to high, with the grey values of a map.
func (h *Heatmap) paint(pix []uint8, values []float32, x, y span) {
	if x.from == x.to && y.from == y.to {
		for i, v := range values {
			pix[i] = h.grey(float64(v))
		}
		return
	}
	for row := range y.to {
		for column := range x.to {
			pix[row*x.to+column] = h.grey(mean(values, x, y, column, row))
		}
	}
	top := slices.Index(values, slices.Max(values))
	pix[y.place(top/x.from)*x.to+x.place(top%x.from)] = h.grey(h.High)
}

// grey is the nearest grey value that stands for a raw score.
func (h *Heatmap) grey(v float64) uint8 {
	if h.High <= h.Low {
		return 0
	}
	return uint8(math.Round(min(max((v-h.Low)/(h.High-h.Low), 0), 1) * math.MaxUint8))
}

// span is one axis of a map that is shrunk: from pixels become to.
type span struct{ from, to int }

// place returns the pixel that a pixel of the map goes to, by its centre.
func (s span) place(i int) int { return (2*i + 1) * s.to / (2 * s.from) }

// part returns what a pixel covers of the map.
func (s span) part(i int) (from, to float64) {
	scale := float64(s.from) / float64(s.to)
	return float64(i) * scale, min(float64(i+1)*scale, float64(s.from))
}

// mean returns the average over what a pixel covers of the map, in which a part of a pixel counts as much as is covered.
func mean(values []float32, x, y span, column, row int) float64 {
	x1, x2 := x.part(column)
	y1, y2 := y.part(row)
	sum, weights := 0.0, 0.0
	for r := int(y1); float64(r) < y2; r++ {
		high := min(float64(r+1), y2) - max(float64(r), y1)
		for c := int(x1); float64(c) < x2; c++ {
			weight := high * (min(float64(c+1), x2) - max(float64(c), x1))
			sum += weight * float64(values[r*x.from+c])
			weights += weight
		}
	}
	return sum / weights
}
