//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"math"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// A picture of up to wholePixels is measured whole; of a larger one about measuredPixels are looked at.
const (
	wholePixels    = 1 << 20
	measuredPixels = 1 << 18
)

// Measure returns the facts of a decoded picture: the size of its frame, and mean, contrast and sharpness of its grey
// form. Those of a picture of more than 2^20 px are estimates over rows that hold about 2^18 px, each with both neighbours
// for the Laplacian: one row of each of as many strips of equal height. So the facts of a frame of 20 Mpx cost no more than
// those of a frame of 1.
func (w *Worker) Measure(p *Picture) (inspection.ImageFacts, error) {
	if len(p.buf) == 0 {
		return inspection.ImageFacts{}, fmt.Errorf("measure picture: %w: it is empty", inspection.ErrImage)
	}
	w.rows = measuredRows(w.rows[:0], p.w, p.h)
	if n := 3 * p.w; p.c == 3 && len(w.line) < n {
		w.line = make([]byte, n)
	}
	mean, variance, sharpness := moments(p, w.rows, w.line, false)
	return inspection.ImageFacts{Width: p.frameW, Height: p.frameH, Mean: mean, Contrast: math.Sqrt(variance), Sharpness: sharpness}, nil
}

// measuredRows appends the rows to look at. Where in its strip a row lies follows the golden ratio, so that a picture's
// own period (pads, a mesh, the lines of a mosaic) never falls in step with the rows.
func measuredRows(rows []int32, w, h int) []int32 {
	n := h
	if w > wholePixels/h {
		n = min(max(measuredPixels/w, 1), h)
	}
	for i := range n {
		y := i
		if n < h {
			const golden = 0.6180339887498949
			_, at := math.Modf(float64(i+1) * golden)
			y = min(int((float64(i)+at)*float64(h)/float64(n)), h-1)
		}
		rows = append(rows, int32(y))
	}
	return rows
}

// grayOf returns p itself when it is grey, else its grey form in the worker's scratch, good until the next call.
func (w *Worker) grayOf(p *Picture) (*Picture, error) {
	if p.c == 1 {
		return p, nil
	}
	if err := w.gray.convert(p, 1, p.toGray()); err != nil {
		return nil, err
	}
	return &w.gray, nil
}

// toGray is OpenCV's name for making a colour picture grey.
func (p *Picture) toGray() gocv.ColorConversionCode {
	if p.rgb {
		return gocv.ColorRGBToGray
	}
	return gocv.ColorBGRToGray
}
